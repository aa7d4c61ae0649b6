/**
 * From what the kernel has to what it shall have: an ordered list of operations. Pure. The order is what keeps D1 and
 * D2 of datapath.ts after every single step: backends, then the slots of a new generation, then one write that makes
 * the service point to it (small sets are in that write); removals only after a grace period. A frontend that does not
 * fit is left as it is.
 */
import type { FrontendRoute, RouteBackend } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import { backendKey, type KernelTables, type Served } from './kernel-tables.ts';
import { INLINE_BACKENDS } from './layout.ts';
import type { Operation, Step } from './operation.ts';

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
  desired: Iterable<FrontendRoute>,
  unwanted: Iterable<Frontend> = [],
): Plan {
  const draft = new PlanDraft(tables);
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
  for (const { service, generation, slots } of tables.removable) {
    for (const [slot, backend] of slots.entries()) {
      if (backend === 0) continue;
      add({ kind: 'delete-slot', service, generation, slot });
      dropped.set(backend, (dropped.get(backend) ?? 0) + 1);
    }
  }
  for (const { service, generation, members } of tables.removable) {
    for (const backend of members.toReversed()) add({ kind: 'delete-member', service, generation, backend });
  }
  for (const id of tables.unreferenced) add({ kind: 'delete-backend', id });
  for (const [id, count] of dropped) {
    if (tables.references(id) === count && tables.backends.has(id)) add({ kind: 'delete-backend', id });
  }
  return steps;
}

type Need = Record<'services' | 'slots' | 'backends' | 'affinity_ok', number>;

/**
 * A plan in the making, kind by kind, with the room that it takes. Whoever has very many frontends can stop between two
 * of them, as long as the tables stay as they are.
 */
export class PlanDraft {
  readonly #tables: KernelTables;
  readonly #changes: Frontend[] = [];
  readonly #failures: PlanFailure[] = [];
  readonly #newBackends = new Map<string, number>();
  readonly #backends: Step[] = [];
  readonly #slots: Step[] = [];
  readonly #members: Step[] = [];
  readonly #switches: Step[] = [];
  readonly #additions: Step[] = [];
  readonly #removals: Step[] = [];
  readonly #room: Need;
  #nextService: number;
  #nextBackend: number;
  #freeBackends: number;

  constructor(tables: KernelTables) {
    this.#tables = tables;
    this.#nextService = tables.nextService;
    this.#nextBackend = tables.nextBackend;
    this.#freeBackends = tables.freeBackends.length;
    this.#room = {
      services: tables.limits.services - tables.services.size,
      slots: tables.limits.slots - tables.slotCount,
      backends: tables.limits.backends - tables.backends.size,
      affinity_ok: tables.limits.affinityOk - tables.memberCount,
    };
  }

  set({ frontend, backends, sessionAffinitySeconds }: FrontendRoute): void {
    const present = this.#tables.services.get(frontendId(frontend));
    const keys = backends.map(backendKey);
    const known = keys.map((key) => this.#newBackends.get(key) ?? this.#tables.backendId(key) ?? 0);
    if (present && this.#isInForce(present, known, sessionAffinitySeconds)) return;
    const isInline = backends.length <= INLINE_BACKENDS;
    const hasMembers = !isInline && sessionAffinitySeconds > 0;
    const needed: Need = {
      services: present ? 0 : 1,
      slots: isInline ? 0 : backends.length,
      backends: known.filter((id) => id === 0).length,
      affinity_ok: hasMembers ? backends.length : 0,
    };
    const reason = this.#take(needed);
    if (reason !== undefined) {
      this.#failures.push({ frontend, reason });
      return;
    }
    const change = this.#changes.push(frontend) - 1;
    const ids = known.map((id, at) => (id === 0 ? this.#addBackend(keys[at], backends[at]) : id));
    const service = present?.id ?? this.#nextService++;
    const generation = present ? this.#tables.nextGeneration(service) : 1;
    if (!isInline) this.#addSet(change, service, generation, ids, hasMembers);
    const entry: Operation = {
      kind: 'put-service',
      frontend,
      id: service,
      generation,
      count: backends.length,
      affinitySeconds: sessionAffinitySeconds,
      inline: isInline ? ids : [],
    };
    (present ? this.#switches : this.#additions).push({ operation: entry, change });
  }

  remove(frontend: Frontend): void {
    if (!this.#tables.services.has(frontendId(frontend))) return;
    const change = this.#changes.push(frontend) - 1;
    this.#removals.push({ operation: { kind: 'delete-service', frontend }, change });
  }

  finish(): Plan {
    const waits = this.#additions.length > 0 && this.#tables.needsGrace;
    const grace: Step[] = waits ? [{ operation: { kind: 'grace' }, change: -1 }] : [];
    const additions = [grace, this.#additions, this.#removals];
    const steps = [this.#backends, this.#slots, this.#members, this.#switches, ...additions].flat();
    return { steps, changes: this.#changes, failures: this.#failures };
  }

  #isInForce(present: Served, ids: readonly number[], affinitySeconds: number): boolean {
    if (present.count !== ids.length || present.affinitySeconds !== affinitySeconds) return false;
    const set = this.#tables.set(present.id, present.generation);
    if (!ids.every((id, slot) => id !== 0 && set?.slots[slot] === id)) return false;
    if (affinitySeconds === 0 || set?.isInline !== false) return true;
    const members = new Set(set.members);
    return ids.every((id) => members.has(id));
  }

  #addBackend(key: string | undefined, backend: RouteBackend | undefined): number {
    const id = this.#takeBackendId();
    if (key === undefined || backend === undefined) return id;
    this.#newBackends.set(key, id);
    this.#backends.push({ operation: { kind: 'put-backend', id, backend }, change: -1 });
    return id;
  }

  #addSet(change: number, service: number, generation: number, ids: readonly number[], hasAffinity: boolean): void {
    for (const [slot, backend] of ids.entries()) {
      this.#slots.push({ operation: { kind: 'put-slot', service, generation, slot, backend }, change });
      if (hasAffinity) this.#members.push({ operation: { kind: 'put-member', service, generation, backend }, change });
    }
  }

  #takeBackendId(): number {
    if (this.#freeBackends === 0) return this.#nextBackend++;
    this.#freeBackends -= 1;
    return this.#tables.freeBackends[this.#freeBackends] ?? this.#nextBackend++;
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
