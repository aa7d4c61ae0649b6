/**
 * From what the kernel has to what it shall have: an ordered list of operations. Pure. The order is what keeps D1 and
 * D2 of datapath.ts after every single step: backends, then the slots of a new generation, then one write that makes
 * the service point to it (small sets are in that write); removals only after a grace period. A large set that changes
 * by little is changed where it is, slot by slot, before that write tells how many count. A frontend that does not fit
 * is left as it is.
 */
import type { FrontendRoute, RouteBackend } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import { faultOfRoute } from '../route-checks.ts';
import { BackendIds } from './backend-ids.ts';
import type { BackendSet, KernelTables, Served } from './kernel-tables.ts';
import { INLINE_BACKENDS } from './layout.ts';
import type { Operation, SetKey, Step } from './operation.ts';
import { type Difference, differenceOf, slotsOf, slotWrites } from './set-changes.ts';

/** Of a set that may be added or removed in place: one in so many. */
const LITTLE = 8;
/** Entries in one operation: about 2 ms of work. */
const MOST_ENTRIES = 2048;

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

/**
 * Removes what no reader can reach any more: slots and members whose grace period is over, and backends that nothing
 * names. What is named by those alone is left to the next sweep, which needs no grace period in between.
 */
export function planSweep(tables: KernelTables): readonly Step[] {
  const steps: Step[] = [];
  const add = (operation: Operation): void => {
    steps.push({ operation, change: -1 });
  };
  for (const { service, generation, slots, count } of tables.removable) {
    for (let first = count, slot = count; slot < slots.length; slot += 1) {
      const backend = slots[slot] ?? 0;
      if (backend === 0) first = slot + 1;
      else if (slot + 1 - first === MOST_ENTRIES || (slots[slot + 1] ?? 0) === 0) {
        add({ kind: 'delete-slots', service, generation, first, count: slot + 1 - first });
        first = slot + 1;
      }
    }
  }
  for (const { service, generation, members, count } of tables.removable) {
    if (count > 0) continue;
    for (const { part } of inParts([...members])) add({ kind: 'delete-members', service, generation, backends: part });
  }
  for (const id of tables.unreferenced) add({ kind: 'delete-backend', id });
  return steps;
}

/** A long list in lists of at most `MOST_ENTRIES`, and where each begins. */
const inParts = (list: readonly number[]): readonly { readonly first: number; readonly part: readonly number[] }[] =>
  Array.from({ length: Math.ceil(list.length / MOST_ENTRIES) }, (_, i) => {
    const first = i * MOST_ENTRIES;
    return { first, part: list.slice(first, first + MOST_ENTRIES) };
  });

type Need = Record<'services' | 'slots' | 'backends' | 'affinity_ok', number>;

/**
 * A plan in the making, kind by kind, with the room that it takes. Whoever has very many frontends can stop between two
 * of them, as long as the tables stay as they are.
 */
export class PlanDraft {
  readonly #tables: KernelTables;
  readonly #changes: Frontend[] = [];
  readonly #failures: PlanFailure[] = [];
  readonly #newBackends = new BackendIds();
  readonly #backends: Step[] = [];
  readonly #members: Step[] = [];
  readonly #slots: Step[] = [];
  readonly #changedSlots: Step[] = [];
  readonly #formerMembers: Step[] = [];
  readonly #switches: Step[] = [];
  readonly #additions: Step[] = [];
  readonly #removals: Step[] = [];
  readonly #room: Need;
  #nextService: number;
  #nextBackend: number;
  readonly #freeBackends: Iterator<number>;

  constructor(tables: KernelTables) {
    this.#tables = tables;
    this.#nextService = tables.nextService;
    this.#nextBackend = tables.nextBackend;
    this.#freeBackends = tables.freeBackends.values();
    this.#room = {
      services: tables.limits.services - tables.services.size,
      slots: tables.limits.slots - tables.slotCount,
      backends: tables.limits.backends - tables.backends.size,
      affinity_ok: tables.limits.affinityOk - tables.memberCount,
    };
  }

  set(wanted: FrontendRoute): void {
    const { frontend, backends, sessionAffinitySeconds } = wanted;
    const present = this.#tables.services.get(frontendId(frontend));
    const set = present && this.#tables.set(present.id, present.generation);
    const held = present && this.#tables.contentOf(present);
    const isLarge = backends.length > INLINE_BACKENDS && set?.isInline === false;
    const difference = held && differenceOf(held, backends, isLarge ? Math.floor(held.length / LITTLE) : 0);
    const reason = faultOfRoute(wanted, difference?.added);
    if (reason !== undefined) {
      this.#failures.push({ frontend, reason });
      return;
    }
    const isSame = difference && difference.added.length + difference.removed.length === 0;
    if (isSame && present.affinitySeconds === sessionAffinitySeconds) return;
    const keepsMembers = (present?.affinitySeconds === 0) === (sessionAffinitySeconds === 0);
    const isInPlace = set && difference && isLarge && keepsMembers;
    if (!isInPlace || !this.#changeSet(wanted, set, difference)) this.#addSet(wanted, present);
  }

  /** Where the set is. False when its slots are not what was thought. */
  #changeSet(wanted: FrontendRoute, set: BackendSet, { added, removed }: Difference): boolean {
    const { service, generation, count } = set;
    const gone = new Set(removed.flatMap((backend) => this.#tables.backendId(backend) ?? []));
    const slots = set.slots.slice(0, count);
    const freed = slotsOf(slots, gone);
    if (freed.length !== removed.length) return false;
    const newCount = count + added.length - removed.length;
    const isThere = (slot: number): boolean => (set.slots[slot] ?? 0) !== 0;
    const appended = Array.from({ length: Math.max(0, newCount - count) }, (_, i) => count + i);
    const hasMembers = wanted.sessionAffinitySeconds > 0;
    const needed = { services: 0, slots: appended.filter((slot) => !isThere(slot)).length };
    const taken = this.#takeFor(wanted, added, { ...needed, affinity_ok: hasMembers ? added.length : 0 });
    if (!taken) return true;
    const { change, ids } = taken;
    for (const { slot, backend } of slotWrites(slots, freed, ids)) {
      if (isThere(slot)) {
        this.#changedSlots.push({ operation: { kind: 'change-slot', service, generation, slot, backend }, change });
      } else this.#addSlots(change, { service, generation }, slot, [backend]);
    }
    if (hasMembers) {
      this.#addMembers(change, { service, generation }, ids);
      for (const { part } of inParts([...gone])) {
        this.#formerMembers.push({
          operation: { kind: 'delete-members', service, generation, backends: part },
          change,
        });
      }
    }
    this.#pointTo(change, wanted, { service, generation }, []);
    return true;
  }

  /** A set of a new generation, or one that goes into the service's entry. */
  #addSet(wanted: FrontendRoute, present: Served | undefined): void {
    const { backends, sessionAffinitySeconds } = wanted;
    const isInline = backends.length <= INLINE_BACKENDS;
    const hasMembers = !isInline && sessionAffinitySeconds > 0;
    const taken = this.#takeFor(wanted, backends, {
      services: present ? 0 : 1,
      slots: isInline ? 0 : backends.length,
      affinity_ok: hasMembers ? backends.length : 0,
    });
    if (!taken) return;
    const { change, ids } = taken;
    const service = present?.id ?? this.#nextService++;
    const generation = present ? this.#tables.nextGeneration(service) : 1;
    if (!isInline) this.#addSlots(change, { service, generation }, 0, ids);
    if (hasMembers) this.#addMembers(change, { service, generation }, ids);
    this.#pointTo(change, wanted, { service, generation }, isInline ? ids : [], !present);
  }

  /** Reserves the room, also for those backends that are not known; yields their ids, or notes the failure. */
  #takeFor(
    { frontend }: FrontendRoute,
    backends: readonly RouteBackend[],
    needed: Omit<Need, 'backends'>,
  ): { readonly change: number; readonly ids: readonly number[] } | undefined {
    const known = backends.map((backend) => this.#tables.backendId(backend) ?? this.#newBackends.get(backend));
    const reason = this.#take({ ...needed, backends: known.filter((id) => id === undefined).length });
    if (reason !== undefined) {
      this.#failures.push({ frontend, reason });
      return undefined;
    }
    const change = this.#changes.push(frontend) - 1;
    return { change, ids: backends.map((backend, at) => known[at] ?? this.#addBackend(backend)) };
  }

  remove(frontend: Frontend): void {
    if (!this.#tables.services.has(frontendId(frontend))) return;
    const change = this.#changes.push(frontend) - 1;
    this.#removals.push({ operation: { kind: 'delete-service', frontend }, change });
  }

  finish(): Plan {
    const waits = this.#additions.length > 0 && this.#tables.needsGrace;
    const grace: Step[] = waits ? [{ operation: { kind: 'grace' }, change: -1 }] : [];
    const sets = [this.#members, this.#slots, this.#changedSlots, this.#formerMembers, this.#switches];
    const steps = [this.#backends, ...sets, grace, this.#additions, this.#removals].flat();
    return { steps, changes: this.#changes, failures: this.#failures };
  }

  #pointTo(change: number, wanted: FrontendRoute, set: SetKey, inline: readonly number[], isNew = false): void {
    const { frontend, backends, sessionAffinitySeconds } = wanted;
    const operation: Operation = {
      kind: 'put-service',
      frontend,
      id: set.service,
      generation: set.generation,
      count: backends.length,
      affinitySeconds: sessionAffinitySeconds,
      inline,
      sorted: backends,
    };
    (isNew ? this.#additions : this.#switches).push({ operation, change });
  }

  #addBackend(backend: RouteBackend): number {
    const { value, done } = this.#freeBackends.next();
    const id = done === true ? this.#nextBackend++ : value;
    this.#newBackends.set(backend, id);
    this.#backends.push({ operation: { kind: 'put-backend', id, backend }, change: -1 });
    return id;
  }

  #addSlots(change: number, set: SetKey, from: number, ids: readonly number[]): void {
    for (const { first, part } of inParts(ids)) {
      this.#slots.push({ operation: { kind: 'put-slots', ...set, first: from + first, backends: part }, change });
    }
  }

  #addMembers(change: number, set: SetKey, ids: readonly number[]): void {
    for (const { part } of inParts(ids)) {
      this.#members.push({ operation: { kind: 'put-members', ...set, backends: part }, change });
    }
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
