/**
 * What the pinned maps hold: follows each operation that the kernel carried out, and nothing else, so a step that failed
 * leaves no trace here. Knows what is no longer pointed to and when that may go:
 *
 * G1. What a reader may still hold (slots beyond the count of their set, all of one that was switched away from; the
 *     backends in them, and those that were in slots written over or were members of a set that is pointed to) is
 *     `retiring` until a grace period that began later has ended. Only then may slots be deleted, and backends' ids be
 *     given to others.
 * G2. A hash map may hand a deleted service's element to another at once, under a reader's eyes. So nothing is added to
 *     `services` after a deletion before a grace period (`needsGrace`).
 */
import { compareRouteBackends } from '@tombolo/shared/model/routes.ts';
import { BackendTable } from './backend-table.ts';
import { hasMembers, INLINE_BACKENDS, TABLE_NAMES, type TableSizes } from './layout.ts';
import { entryId, type MapFrontend } from './map-entry.ts';
import type { MapOperation, OperationOf, SetKey, SortedBackends } from './operation.ts';
import { partOf, partsOf, SLOTS_A_PART } from './parts.ts';

/** The backends of one service in one generation. */
export interface BackendSet extends SetKey {
  /** In the service's own entry: goes with it. Else each part of the slots and each member is an entry of its own. */
  readonly isInline: boolean;
  /** Backend ids; 0 where a slot is not filled. */
  readonly slots: number[];
  /** Those that are there. */
  readonly parts: Set<number>;
  /** Those with an entry in `affinity_ok`. */
  readonly members: Set<number>;
  /** Whose service points to the set. */
  frontend: MapFrontend | undefined;
  affinitySeconds: number;
  /** Slots that a reader who begins now may pick; 0 while no service points to the set. */
  count: number;
  /** What these slots hold, where that is known and everything fits together. */
  sorted: SortedBackends | undefined;
  /** What the slots beyond `count` go with, while they are on their way out. */
  retiring: Retiring | undefined;
}

/** What one grace period releases. */
export interface Retiring {
  readonly sets: Set<BackendSet>;
  /** Each was in a slot that was written over, or a member, and counts as referred to until then. */
  readonly backends: number[];
}

const nothingRetiring = (): Retiring => ({ sets: new Set(), backends: [] });

export class MapState {
  readonly limits: TableSizes;
  /** The sets that services point to, by `entryId`. */
  readonly services = new Map<string, BackendSet>();
  readonly backends = new BackendTable();
  /** Sets with slots beyond their count that no reader can reach. */
  readonly removable = new Set<BackendSet>();
  partCount = 0;
  memberCount = 0;
  nextService = 1;
  /** By service and generation: those that services point to, and those on their way in or out. */
  readonly #sets = new Map<number, Map<number, BackendSet>>();
  #retiring = nothingRetiring();
  /** What is released with the grace period that the last deletion of a service has to wait for. */
  #deleted: Retiring | undefined;

  constructor(limits: TableSizes) {
    this.limits = limits;
  }

  get needsGrace(): boolean {
    return this.#deleted !== undefined;
  }

  get hasGarbage(): boolean {
    const { sets, backends } = this.#retiring;
    return sets.size + backends.length + this.removable.size + this.backends.unreferenced.size > 0;
  }

  /** The share of the entries of each table that is taken, by name. */
  get fill(): ReadonlyMap<string, number> {
    const taken: TableSizes = {
      services: this.services.size,
      slots: this.partCount,
      backends: this.backends.size,
      affinity_ok: this.memberCount,
    };
    return new Map(TABLE_NAMES.map((name) => [name, taken[name] / this.limits[name]]));
  }

  /** What a set leads to. A slot that leads nowhere is left out. */
  backendsOf({ sorted, slots, count }: BackendSet): SortedBackends {
    if (sorted) return sorted;
    const held = slots.slice(0, count).flatMap((id) => this.backends.get(id) ?? []);
    return held.sort(compareRouteBackends);
  }

  /** The same; undefined where the set's entries contradict each other. */
  contentOf(set: BackendSet): SortedBackends | undefined {
    const { count, slots, members, frontend } = set;
    if (set.sorted) return set.sorted;
    const needsMembers = !set.isInline && frontend !== undefined && hasMembers(frontend.protocol, set.affinitySeconds);
    const expected = new Set(needsMembers ? slots.slice(0, count) : []);
    const areMembers = members.size === expected.size && [...expected].every((id) => members.has(id));
    const held = this.backendsOf(set);
    if (held.length === count && areMembers) set.sorted = held;
    return set.sorted;
  }

  /** What is known of the entries under this key. */
  setOf(service: number, generation: number): BackendSet | undefined {
    return this.#sets.get(service)?.get(generation);
  }

  /** Larger than every generation of this service that is in the kernel. */
  nextGeneration(service: number): number {
    return Math.max(0, ...(this.#sets.get(service)?.keys() ?? [])) + 1;
  }

  /** Follows an operation that the kernel has carried out. */
  record(operation: MapOperation): void {
    switch (operation.kind) {
      case 'put-backend':
        this.backends.put(operation.id, operation.backend);
        break;
      case 'put-slots':
        this.#putSlots(operation);
        break;
      case 'change-slot':
        this.#changeSlot(operation);
        break;
      case 'put-members':
        this.#putMembers(operation);
        break;
      case 'put-service':
        this.#putService(operation);
        break;
      case 'delete-service':
        this.#deleteService(entryId(operation.frontend));
        break;
      case 'delete-slots':
        this.#deleteSlots(operation);
        break;
      case 'delete-members':
        this.#deleteMembers(operation);
        break;
      case 'delete-backend':
        this.backends.delete(operation.id);
        break;
    }
  }

  /** What a grace period that begins now will release, once it has ended: hand it to `release` then. */
  beginGrace(): Retiring {
    const retiring = this.#retiring;
    this.#retiring = nothingRetiring();
    return retiring;
  }

  release(retired: Retiring): void {
    for (const set of retired.sets) {
      if (set.retiring !== retired) continue;
      this.removable.add(set);
      if (set.isInline) for (const backend of set.slots.splice(0)) this.backends.unrefer(backend);
      this.#dropIfGone(set);
    }
    for (const backend of retired.backends) this.backends.unrefer(backend);
    if (this.#deleted === retired) this.#deleted = undefined;
  }

  /** The grace period did not come about: all of it waits for the next. */
  resume(retired: Retiring): void {
    for (const set of retired.sets) if (set.retiring === retired) this.#retire(set);
    for (const backend of retired.backends) this.#retiring.backends.push(backend);
    if (this.#deleted === retired) this.#deleted = this.#retiring;
  }

  /** After a failure: every set that no service points to is on its way out, and slots that none came to count. */
  retireStrays(): void {
    for (const sets of this.#sets.values()) for (const set of sets.values()) if (!set.retiring) this.#retireRest(set);
  }

  /** After a reading that began after a grace period: no reader holds anything but what services point to. */
  settle(): void {
    this.retireStrays();
    this.release(this.beginGrace());
    this.backends.freeGaps();
  }

  #setFor({ service, generation }: SetKey, isInline = false): BackendSet {
    const sets = this.#sets.get(service) ?? new Map<number, BackendSet>();
    this.#sets.set(service, sets);
    this.nextService = Math.max(this.nextService, service + 1);
    const set: BackendSet = sets.get(generation) ?? {
      ...{ service, generation, isInline, slots: [], parts: new Set(), members: new Set(), frontend: undefined },
      ...{ affinitySeconds: 0, count: 0, sorted: undefined, retiring: undefined },
    };
    sets.set(generation, set);
    return set;
  }

  #putSlots(operation: OperationOf<'put-slots'>): void {
    const { first, backends } = operation;
    const set = this.#setFor(operation);
    while (set.slots.length < first) set.slots.push(0);
    for (const [i, backend] of backends.entries()) {
      set.slots[first + i] = backend;
      if (backend !== 0) this.backends.refer(backend);
    }
    this.partCount -= set.parts.size;
    for (let part = partOf(first); part < partsOf(first + backends.length); part += 1) set.parts.add(part);
    this.partCount += set.parts.size;
    this.#noteWritten(set, first + backends.length - 1);
  }

  #changeSlot(operation: OperationOf<'change-slot'>): void {
    const { slot, backend } = operation;
    const set = this.#setFor(operation);
    const before = set.slots[slot] ?? 0;
    while (set.slots.length < slot) set.slots.push(0);
    set.slots[slot] = backend;
    if (backend === 0) {
      this.backends.unrefer(before);
      this.#dropIfGone(set);
      return;
    }
    if (before !== 0) this.#retiring.backends.push(before);
    this.backends.refer(backend);
    this.#noteWritten(set, slot);
  }

  /** Slots beyond the count come into use again. */
  #noteWritten(set: BackendSet, slot: number): void {
    set.sorted = undefined;
    if (slot >= set.count) this.#keep(set);
  }

  #putMembers(operation: OperationOf<'put-members'>): void {
    const set = this.#setFor(operation);
    for (const backend of operation.backends) {
      set.members.add(backend);
      this.backends.refer(backend);
    }
    this.memberCount += operation.backends.length;
    set.sorted = undefined;
  }

  #putService(operation: OperationOf<'put-service'>): void {
    const { frontend, id, generation, count, affinitySeconds, inline, sorted } = operation;
    const name = entryId(frontend);
    const before = this.services.get(name);
    const set = this.#setFor({ service: id, generation }, count <= INLINE_BACKENDS);
    for (const backend of inline) this.backends.refer(backend);
    set.slots.push(...inline);
    const shrinks = count < set.count;
    set.frontend = frontend;
    set.affinitySeconds = affinitySeconds;
    set.count = count;
    set.sorted = sorted;
    this.services.set(name, set);
    if (shrinks || !set.retiring) this.#retireRest(set);
    if (before && before !== set) this.#retireAll(before);
  }

  #deleteService(name: string): void {
    const set = this.services.get(name);
    if (!set) return;
    this.services.delete(name);
    this.#retireAll(set);
    this.#deleted = this.#retiring;
  }

  #retireAll(set: BackendSet): void {
    set.frontend = undefined;
    set.count = 0;
    this.#retire(set);
  }

  /** What no service points to. */
  #retireRest(set: BackendSet): void {
    if (set.frontend && !hasMore(set)) this.#keep(set);
    else this.#retire(set);
  }

  #retire(set: BackendSet): void {
    this.#keep(set);
    set.retiring = this.#retiring;
    this.#retiring.sets.add(set);
  }

  #keep(set: BackendSet): void {
    set.retiring = undefined;
    this.removable.delete(set);
  }

  #deleteSlots(operation: OperationOf<'delete-slots'>): void {
    const { first, count } = operation;
    const set = this.#setFor(operation);
    for (let part = partOf(first); part < partsOf(first + count); part += 1)
      if (set.parts.delete(part)) this.partCount -= 1;
    for (let slot = first; slot < first + count; slot += 1) {
      const backend = set.slots[slot] ?? 0;
      if (backend === 0) continue;
      set.slots[slot] = 0;
      this.backends.unrefer(backend);
    }
    this.#dropIfGone(set);
  }

  #deleteMembers(operation: OperationOf<'delete-members'>): void {
    const set = this.#setFor(operation);
    for (const backend of operation.backends) {
      if (!set.members.delete(backend)) continue;
      this.memberCount -= 1;
      if (set.frontend) this.#retiring.backends.push(backend);
      else this.backends.unrefer(backend);
    }
    set.sorted = undefined;
    this.#dropIfGone(set);
  }

  #dropIfGone(set: BackendSet): void {
    while (set.slots.length > set.count && set.slots.at(-1) === 0) set.slots.pop();
    if (hasMore(set)) return;
    if (set.frontend) this.#keep(set);
    else if (set.members.size === 0) this.#drop(set);
  }

  #drop(set: BackendSet): void {
    this.removable.delete(set);
    const sets = this.#sets.get(set.service);
    sets?.delete(set.generation);
    if (sets?.size === 0) this.#sets.delete(set.service);
  }
}

/** Than its count: slots, or parts with none. */
function hasMore({ slots, parts, count }: BackendSet): boolean {
  if (slots.length > count) return true;
  for (const part of parts) if (part * SLOTS_A_PART >= count) return true;
  return false;
}
