/**
 * From what the kernel has to what it shall have: an ordered list of operations. Pure. The order is what keeps D1 and
 * D2 of datapath.ts after every single step: backends, then the slots of a new generation, then one write that makes
 * the service point to it (small sets are in that write); removals only after a grace period. A large set that changes
 * by little is changed where it is, slot by slot, before that write tells how many count. A frontend that does not fit
 * is left as it is.
 */
import { type FrontendRoute, isSameBackend, type RouteBackend } from '@tombolo/shared/model/routes.ts';
import { faultOfRoute } from '../route-checks.ts';
import { BackendIds } from './backend-table.ts';
import { hasMembers, INLINE_BACKENDS, TABLE_NAMES, type TableName } from './layout.ts';
import { entryId, type MapFrontend } from './map-entry.ts';
import type { BackendSet, MapState } from './map-state.ts';
import type { OperationKind, PlannedOperation, SetKey, Step } from './operation.ts';
import { partOf, partsOf, SLOTS_A_PART } from './parts.ts';
import { type Difference, differenceOf, slotsOf, slotWrites } from './set-changes.ts';

/** Of a set that may be added or removed in place: one in so many. */
const LITTLE = 8;
/** Slots or members in one operation: at most 2 ms of work. */
const MOST_ENTRIES = 2048;

/** One entry, and where it leads. */
export interface MapRoute extends Omit<FrontendRoute, 'frontend'> {
  readonly frontend: MapFrontend;
}

export interface MapPlan {
  readonly steps: readonly Step[];
  /** The frontends that the steps set or remove; `Step.change` is an index into this. */
  readonly changes: readonly MapFrontend[];
  readonly failures: readonly { readonly frontend: MapFrontend; readonly reason: string }[];
}

/**
 * Removes what no reader can reach any more: slots and members whose grace period is over, and backends that nothing
 * names. What is named by those alone is left to the next sweep, which needs no grace period in between.
 */
export function planSweep(tables: MapState): readonly Step[] {
  const steps: Step[] = [];
  const add = (operation: PlannedOperation): void => {
    steps.push({ operation, change: -1 });
  };
  for (const { service, generation, slots, parts, members, count, frontend } of tables.removable) {
    const kept = partsOf(count);
    for (let slot = count; slot < kept * SLOTS_A_PART; slot += 1) {
      if (slots[slot]) add({ kind: 'change-slot', service, generation, slot, backend: 0 });
    }
    for (const { first, count: run } of runsOf([...parts].filter((part) => part >= kept))) {
      const deleted = { first: first * SLOTS_A_PART, count: run * SLOTS_A_PART };
      add({ kind: 'delete-slots', service, generation, ...deleted });
    }
    if (frontend) continue;
    for (const { piece } of inPieces([...members]))
      add({ kind: 'delete-members', service, generation, backends: piece });
  }
  for (const id of tables.backends.unreferenced) add({ kind: 'delete-backend', id });
  return steps;
}

/** A long list in lists of at most `MOST_ENTRIES`, and where each begins. */
const inPieces = (list: readonly number[]) =>
  Array.from({ length: Math.ceil(list.length / MOST_ENTRIES) }, (_, i) => {
    const first = i * MOST_ENTRIES;
    return { first, piece: list.slice(first, first + MOST_ENTRIES) };
  });

/** Neighbouring parts, of at most `MOST_ENTRIES` slots. */
function runsOf(parts: readonly number[]): readonly { readonly first: number; readonly count: number }[] {
  const runs: { first: number; count: number }[] = [];
  for (const part of parts.toSorted((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && last.first + last.count === part && last.count * SLOTS_A_PART < MOST_ENTRIES) last.count += 1;
    else runs.push({ first: part, count: 1 });
  }
  return runs;
}

/** Each once. */
const unique = (sorted: readonly RouteBackend[]): readonly RouteBackend[] =>
  sorted.filter((backend, i) => !isSameBackend(backend, sorted[i - 1]));

/** Whether one is there several times: packets are given out by how often it stands next to itself. */
const hasShares = (sorted: readonly RouteBackend[]): boolean =>
  sorted.some((backend, i) => isSameBackend(backend, sorted[i - 1]));

/** All that goes before services are added, and after a grace period before that. */
const ORDER = ['put-backend', 'put-members', 'put-slots', 'change-slot', 'delete-members', 'put-service'] as const;

/**
 * A plan in the making, kind by kind, with the room that it takes. Whoever has very many frontends can stop between two
 * of them, as long as the tables stay as they are.
 */
export class PlanDraft {
  readonly #tables: MapState;
  readonly #changes: MapFrontend[] = [];
  readonly #failures: MapPlan['failures'][number][] = [];
  readonly #newBackends = new BackendIds();
  readonly #steps = new Map<OperationKind, Step[]>();
  readonly #additions: Step[] = [];
  readonly #room: Record<TableName, number>;
  readonly #freeIds: Iterator<number>;
  #nextService: number;
  #nextBackend: number;

  constructor(tables: MapState) {
    this.#tables = tables;
    this.#nextService = tables.nextService;
    this.#nextBackend = tables.backends.nextId;
    this.#freeIds = tables.backends.freeIds.values();
    this.#room = {
      services: tables.limits.services - tables.services.size,
      slots: tables.limits.slots - tables.partCount,
      backends: tables.limits.backends - tables.backends.size,
      affinity_ok: tables.limits.affinity_ok - tables.memberCount,
    };
  }

  set(wanted: MapRoute): void {
    const { frontend, backends, sessionAffinitySeconds } = wanted;
    const present = this.#tables.services.get(entryId(frontend));
    const held = present && this.#tables.contentOf(present);
    const isLarge = backends.length > INLINE_BACKENDS && present?.isInline === false;
    const difference = held && differenceOf(held, backends, isLarge ? Math.floor(held.length / LITTLE) : 0);
    const reason = faultOfRoute(wanted, difference?.added);
    if (reason !== undefined) {
      this.#failures.push({ frontend, reason });
      return;
    }
    const isSame = difference && difference.added.length + difference.removed.length === 0;
    if (isSame && present?.affinitySeconds === sessionAffinitySeconds) return;
    const { protocol } = frontend;
    const keepsMembers =
      hasMembers(protocol, present?.affinitySeconds ?? 0) === hasMembers(protocol, sessionAffinitySeconds);
    const isInPlace = present && difference && isLarge && keepsMembers && !hasShares(backends);
    if (!isInPlace || !this.#changeSet(wanted, present, difference)) this.#addSet(wanted, present);
  }

  /** By `entryId`. */
  remove(id: string): void {
    const frontend = this.#tables.services.get(id)?.frontend;
    if (frontend) this.#add({ kind: 'delete-service', frontend }, this.#changes.push(frontend) - 1);
  }

  finish(): MapPlan {
    const stepsOf = (kind: OperationKind): readonly Step[] => this.#steps.get(kind) ?? [];
    const waits = this.#additions.length > 0 && this.#tables.needsGrace;
    const grace: readonly Step[] = waits ? [{ operation: { kind: 'grace' }, change: -1 }] : [];
    const steps = [...ORDER.map(stepsOf), grace, this.#additions, stepsOf('delete-service')].flat();
    return { steps, changes: this.#changes, failures: this.#failures };
  }

  /** Where the set is. False when its slots are not what was thought. */
  #changeSet(wanted: MapRoute, set: BackendSet, { added, removed }: Difference): boolean {
    const { service, generation, count } = set;
    const gone = new Set(removed.flatMap((backend) => this.#tables.backends.idOf(backend) ?? []));
    const slots = set.slots.slice(0, count);
    const freed = slotsOf(slots, gone);
    if (freed.length !== removed.length) return false;
    const isAsked = hasMembers(wanted.frontend.protocol, wanted.sessionAffinitySeconds);
    const members = isAsked ? unique(added).length : 0;
    const newCount = count + added.length - removed.length;
    const isThere = (slot: number): boolean => set.parts.has(partOf(slot));
    let missing = 0;
    for (let part = partsOf(count); part < partsOf(newCount); part += 1) if (!set.parts.has(part)) missing += 1;
    const taken = this.#take(wanted, added, { slots: missing, affinity_ok: members });
    if (!taken) return true;
    const { change, ids } = taken;
    const writes = slotWrites(slots, freed, ids);
    for (const { slot, backend } of writes) {
      if (isThere(slot)) this.#add({ kind: 'change-slot', service, generation, slot, backend }, change);
    }
    // A part that is missing is filled from its first slot on; between two of them others may be, of a sweep that failed.
    const missingSlots = writes.filter(({ slot }) => !isThere(slot));
    for (const [part, ofPart] of Map.groupBy(missingSlots, ({ slot }) => partOf(slot))) {
      const backends = ofPart.map(({ backend }) => backend);
      this.#add({ kind: 'put-slots', service, generation, first: part * SLOTS_A_PART, backends }, change);
    }
    if (isAsked) {
      const others = [...new Set(ids)].filter((id) => !set.members.has(id));
      this.#addMembers('put-members', { service, generation }, others, change);
      this.#addMembers('delete-members', { service, generation }, [...gone], change);
    }
    this.#pointTo(wanted, { service, generation }, [], change);
    return true;
  }

  /** A set of a new generation, or one that goes into the service's entry. */
  #addSet(wanted: MapRoute, present: BackendSet | undefined): void {
    const { backends, sessionAffinitySeconds } = wanted;
    const slots = backends.length <= INLINE_BACKENDS ? 0 : partsOf(backends.length);
    const isAsked = hasMembers(wanted.frontend.protocol, sessionAffinitySeconds);
    const members = slots > 0 && isAsked ? unique(backends).length : 0;
    const taken = this.#take(wanted, backends, { services: present ? 0 : 1, slots, affinity_ok: members });
    if (!taken) return;
    const { change, ids } = taken;
    const service = present?.service ?? this.#nextService++;
    const set = { service, generation: present ? this.#tables.nextGeneration(service) : 1 };
    if (members > 0) this.#addMembers('put-members', set, [...new Set(ids)], change);
    if (slots > 0) {
      for (const { first, piece } of inPieces(ids)) {
        this.#add({ kind: 'put-slots', ...set, first, backends: piece }, change);
      }
    }
    this.#pointTo(wanted, set, slots > 0 ? [] : ids, change, !present);
  }

  #addMembers(kind: 'put-members' | 'delete-members', set: SetKey, ids: readonly number[], change: number): void {
    for (const { piece } of inPieces(ids)) this.#add({ kind, ...set, backends: piece }, change);
  }

  #pointTo(wanted: MapRoute, set: SetKey, inline: readonly number[], change: number, isNew = false): void {
    const { frontend, backends: sorted, sessionAffinitySeconds: affinitySeconds } = wanted;
    const entry = { id: set.service, generation: set.generation, count: sorted.length, affinitySeconds, inline };
    const operation: PlannedOperation = { kind: 'put-service', frontend, ...entry, sorted };
    if (isNew) this.#additions.push({ operation, change });
    else this.#add(operation, change);
  }

  /** Reserves the room, also for those backends that are not known, and yields the ids; or notes the failure. */
  #take({ frontend }: MapRoute, backends: readonly RouteBackend[], entries: Partial<Record<TableName, number>>) {
    const known = backends.map((backend) => this.#tables.backends.idOf(backend) ?? this.#newBackends.get(backend));
    const isNew = (_: RouteBackend, at: number): boolean => known[at] === undefined;
    const needed = { services: 0, slots: 0, ...entries, backends: unique(backends.filter(isNew)).length };
    const short = TABLE_NAMES.find((name) => this.#room[name] < (needed[name] ?? 0));
    if (short !== undefined) {
      const room = `${Math.max(0, this.#room[short])} of ${this.#tables.limits[short]}`;
      const reason = `table "${short}" is too small: expected room for ${needed[short]} more entries: current value is ${room}`;
      this.#failures.push({ frontend, reason });
      return undefined;
    }
    for (const name of TABLE_NAMES) this.#room[name] -= needed[name] ?? 0;
    const change = this.#changes.push(frontend) - 1;
    const idOf = (backend: RouteBackend): number => this.#newBackends.get(backend) ?? this.#addBackend(backend);
    return { change, ids: backends.map((backend, at) => known[at] ?? idOf(backend)) };
  }

  #addBackend(backend: RouteBackend): number {
    const { value, done } = this.#freeIds.next();
    const id = done === true ? this.#nextBackend++ : value;
    this.#newBackends.set(backend, id);
    this.#add({ kind: 'put-backend', id, backend }, -1);
    return id;
  }

  #add(operation: PlannedOperation, change: number): void {
    const steps = this.#steps.get(operation.kind);
    if (steps) steps.push({ operation, change });
    else this.#steps.set(operation.kind, [{ operation, change }]);
  }
}
