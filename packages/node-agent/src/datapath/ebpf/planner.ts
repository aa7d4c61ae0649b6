/**
 * From what the kernel has to what it shall have: an ordered list of operations. Pure. The order is what keeps D1 and
 * D2 of datapath.ts after every single step: backends, then the slots of a new generation, then one write that makes
 * the service point to it; removals only after a grace period. A frontend that does not fit is left as it is.
 */
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';
import { frontendId } from '../route-checks.ts';
import { type BackendSet, backendKey, type KernelTables, type Served } from './kernel-tables.ts';
import type { Operation, Step } from './operation.ts';

export interface DesiredFrontend {
  readonly frontend: Frontend;
  readonly backends: readonly RouteBackend[];
  readonly sessionAffinitySeconds: number;
}

export interface PlanFailure {
  readonly frontend: Frontend;
  readonly reason: string;
}

export interface Plan {
  readonly steps: readonly Step[];
  /** The frontends that the steps set or remove; `Step.change` is an index into this. */
  readonly changes: readonly Frontend[];
  readonly failures: readonly PlanFailure[];
}

/** Sets `desired`, removes `unwanted` where it is served, leaves every other frontend alone. */
export function planChanges(
  tables: KernelTables,
  desired: Iterable<DesiredFrontend>,
  unwanted: Iterable<Frontend> = [],
): Plan {
  const draft = new Draft(tables);
  for (const wanted of desired) draft.set(wanted);
  for (const frontend of unwanted) draft.remove(frontend);
  return draft.finish();
}

/** Removes what no reader can reach any more: sets whose grace period is over, then backends that no slot names. */
export function planSweep(tables: KernelTables): readonly Step[] {
  const steps: Step[] = [];
  const add = (operation: Operation): void => {
    steps.push({ operation, change: -1 });
  };
  const dropped = new Map<number, number>();
  const sets = tables.removableSets();
  for (const { service, generation, slots } of sets) {
    for (const [slot, backend] of slots) {
      add({ kind: 'delete-slot', service, generation, slot });
      dropped.set(backend, (dropped.get(backend) ?? 0) + 1);
    }
  }
  for (const { service, generation, members } of sets) {
    for (const backend of members) add({ kind: 'delete-member', service, generation, backend });
  }
  for (const id of tables.unreferenced) add({ kind: 'delete-backend', id });
  for (const [id, count] of dropped) {
    if (tables.references(id) === count && tables.backends.has(id)) add({ kind: 'delete-backend', id });
  }
  return steps;
}

type Need = Record<'services' | 'slots' | 'backends' | 'affinity_ok', number>;

/** Collects a plan kind by kind, and counts the room that it takes. */
class Draft {
  readonly #tables: KernelTables;
  readonly #changes: Frontend[] = [];
  readonly #failures: PlanFailure[] = [];
  readonly #newBackends = new Map<string, number>();
  readonly #backends: Step[] = [];
  readonly #slots: Step[] = [];
  readonly #members: Step[] = [];
  readonly #states: Step[] = [];
  readonly #services: Step[] = [];
  readonly #removals: Step[] = [];
  readonly #room: Need;
  #nextService: number;
  #nextBackend: number;
  #nextState: number;
  #freeStates: number;

  constructor(tables: KernelTables) {
    this.#tables = tables;
    this.#nextService = tables.nextService;
    this.#nextBackend = tables.nextBackend;
    this.#nextState = tables.nextState;
    this.#freeStates = tables.freeStates.length;
    this.#room = {
      services: tables.limits.services - tables.services.size,
      slots: tables.limits.slots - tables.slotCount,
      backends: tables.limits.backends - tables.backends.size,
      affinity_ok: tables.limits.affinityOk - tables.memberCount,
    };
  }

  set({ frontend, backends, sessionAffinitySeconds }: DesiredFrontend): void {
    const present = this.#tables.services.get(frontendId(frontend));
    if (present && this.#isInForce(present, backends, sessionAffinitySeconds)) return;
    const missing = backends.filter((backend) => this.#backendId(backend) === undefined);
    const needed: Need = {
      services: present ? 0 : 1,
      slots: backends.length,
      backends: missing.length,
      affinity_ok: sessionAffinitySeconds > 0 ? backends.length : 0,
    };
    const reason = this.#take(needed);
    if (reason !== undefined) {
      this.#failures.push({ frontend, reason });
      return;
    }
    const change = this.#changes.push(frontend) - 1;
    for (const backend of missing) this.#addBackend(backend);
    const service = present?.id ?? this.#nextService++;
    const generation = present ? this.#tables.nextGeneration(service) : 1;
    this.#addSet(change, service, generation, backends, sessionAffinitySeconds > 0);
    const state = present?.state ?? this.#takeState();
    const count = backends.length;
    const point: Operation = { kind: 'put-state', state, generation, count, affinitySeconds: sessionAffinitySeconds };
    this.#states.push({ operation: point, change });
    if (!present) this.#services.push({ operation: { kind: 'put-service', frontend, id: service, state }, change });
  }

  remove(frontend: Frontend): void {
    if (!this.#tables.services.has(frontendId(frontend))) return;
    const change = this.#changes.push(frontend) - 1;
    this.#removals.push({ operation: { kind: 'delete-service', frontend }, change });
  }

  finish(): Plan {
    const waits = this.#services.length > 0 && this.#tables.needsGrace;
    const grace: Step[] = waits ? [{ operation: { kind: 'grace' }, change: -1 }] : [];
    const steps = [
      ...[this.#backends, this.#slots, this.#members, this.#states].flat(),
      ...grace,
      ...[this.#services, this.#removals].flat(),
    ];
    return { steps, changes: this.#changes, failures: this.#failures };
  }

  #isInForce(present: Served, backends: readonly RouteBackend[], affinitySeconds: number): boolean {
    if (present.count !== backends.length || present.affinitySeconds !== affinitySeconds) return false;
    const set = this.#tables.set(present.id, present.generation);
    return backends.every((backend, slot) => {
      const id = this.#tables.backendId(backend);
      return id !== undefined && set?.slots.get(slot) === id && (affinitySeconds === 0 || isMember(set, id));
    });
  }

  #backendId(backend: RouteBackend): number | undefined {
    return this.#newBackends.get(backendKey(backend)) ?? this.#tables.backendId(backend);
  }

  #addBackend(backend: RouteBackend): void {
    const id = this.#nextBackend++;
    this.#newBackends.set(backendKey(backend), id);
    this.#backends.push({ operation: { kind: 'put-backend', id, backend }, change: -1 });
  }

  #addSet(
    change: number,
    service: number,
    generation: number,
    backends: readonly RouteBackend[],
    hasAffinity: boolean,
  ): void {
    for (const [slot, address] of backends.entries()) {
      const backend = this.#backendId(address) ?? 0;
      this.#slots.push({ operation: { kind: 'put-slot', service, generation, slot, backend }, change });
      if (hasAffinity) this.#members.push({ operation: { kind: 'put-member', service, generation, backend }, change });
    }
  }

  #takeState(): number {
    if (this.#freeStates === 0) return this.#nextState++;
    this.#freeStates -= 1;
    return this.#tables.freeStates[this.#freeStates] ?? this.#nextState++;
  }

  /** Reserves the room, or says which table has not enough. */
  #take(needed: Need): string | undefined {
    const names: readonly (keyof Need)[] = ['services', 'slots', 'backends', 'affinity_ok'];
    const short = names.find((name) => this.#room[name] < needed[name]);
    if (short !== undefined) {
      const room = `${Math.max(0, this.#room[short])} of ${this.#limit(short)}`;
      return `table "${short}" is too small: expected room for ${needed[short]} more entries: current value is ${room}`;
    }
    for (const name of names) this.#room[name] -= needed[name];
    return undefined;
  }

  #limit(name: keyof Need): number {
    return name === 'affinity_ok' ? this.#tables.limits.affinityOk : this.#tables.limits[name];
  }
}

const isMember = (set: BackendSet, backend: number): boolean => set.members.has(backend);
