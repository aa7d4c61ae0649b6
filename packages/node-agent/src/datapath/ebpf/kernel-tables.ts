/**
 * A picture of what the pinned maps hold: it follows each operation that the kernel carried out, and nothing else, so a
 * step that failed leaves no trace here. Knows what is no longer pointed to and when that may go:
 *
 * G1. What a reader may still hold (slots beyond the count of their set, all of one that was switched away from; the
 *     backends in them, and those that were in slots written over or were members of a set that is pointed to) is
 *     `retiring` until a grace period that began later has ended. Only then may slots be deleted, and backends' ids be
 *     given to others.
 * G2. A hash map may hand a deleted service's element to another at once, under a reader's eyes. So nothing is added to
 *     `services` after a deletion before a grace period (`needsGrace`).
 */
import { compareRouteBackends, type RouteBackend } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import { BackendIds } from './backend-ids.ts';
import type { Operation, ServiceEntry, SetKey, SortedBackends } from './operation.ts';

/** Entries that each table takes. */
export interface TableLimits {
  readonly services: number;
  readonly slots: number;
  readonly backends: number;
  readonly affinityOk: number;
}

export interface Served {
  readonly frontend: Frontend;
  readonly id: number;
  readonly generation: number;
  readonly count: number;
  readonly affinitySeconds: number;
}

/** The backends of one service in one generation. */
export interface BackendSet extends SetKey {
  /** In the service's own entry: goes with it. Else each slot and member is an entry of its own. */
  readonly isInline: boolean;
  /** Backend ids; 0 where a slot is not filled. */
  readonly slots: number[];
  /** Those with an entry in `affinity_ok`. */
  readonly members: Set<number>;
  filled: number;
  /** Slots that a reader who begins now may pick; 0 while no service points to the set. */
  count: number;
  /** What these slots hold, where that is known and everything fits together. */
  sorted: SortedBackends | undefined;
  /** The slots beyond `count`, while they are on their way out. */
  tail: Tail | undefined;
}

/** Stands for the slots that a set had beyond its count at some time: void once the set has another tail, or none. */
interface Tail {
  readonly set: BackendSet;
}

/** All sets of one service by generation: the current one, and those on their way in or out. */
interface ServiceSets {
  readonly sets: Map<number, BackendSet>;
  lastGeneration: number;
}

/** What one grace period releases. */
export interface Retiring {
  readonly tails: Tail[];
  /** Each was in a slot that was written over, or a member, and counts as referred to until then. */
  readonly backends: number[];
  deletions: number;
}

const nothingRetiring = (): Retiring => ({ tails: [], backends: [], deletions: 0 });

export class KernelTables {
  readonly limits: TableLimits;
  readonly services = new Map<string, Served>();
  readonly backends = new Map<number, RouteBackend>();
  /** Backends that no set names and no reader holds. */
  readonly unreferenced = new Set<number>();
  /** Sets with slots beyond their count that no reader can reach. */
  readonly removable = new Set<BackendSet>();
  slotCount = 0;
  memberCount = 0;
  nextService = 1;
  nextBackend = 1;
  /** Ids below `nextBackend` that are free. */
  readonly freeBackends = new Set<number>();
  readonly #sets = new Map<number, ServiceSets>();
  readonly #served = new Set<number>();
  readonly #backendIds = new BackendIds();
  readonly #references = new Map<number, number>();
  #retiring = nothingRetiring();
  #unfencedDeletions = 0;

  constructor(limits: TableLimits) {
    this.limits = limits;
  }

  get needsGrace(): boolean {
    return this.#unfencedDeletions > 0;
  }

  get hasGarbage(): boolean {
    const { tails, backends, deletions } = this.#retiring;
    return tails.length + backends.length + deletions + this.removable.size + this.unreferenced.size > 0;
  }

  set(service: number, generation: number): BackendSet | undefined {
    return this.#sets.get(service)?.sets.get(generation);
  }

  /** What a set leads to. A slot that leads nowhere is left out; what is in two of them, as in mid-change, counts once. */
  backendsOf({ sorted, slots, count }: BackendSet): SortedBackends {
    if (sorted) return sorted;
    const held = slots.slice(0, count).flatMap((id) => this.backends.get(id) ?? []);
    const isFirst = (backend: RouteBackend, i: number, all: SortedBackends): boolean =>
      i === 0 || compareRouteBackends(all[i - 1] ?? backend, backend) !== 0;
    return held.sort(compareRouteBackends).filter(isFirst);
  }

  /** The same; undefined where the set's entries contradict each other. */
  contentOf({ id, generation, count, affinitySeconds }: Served): SortedBackends | undefined {
    const set = this.set(id, generation);
    if (!set) return count === 0 ? [] : undefined;
    if (set.sorted) return set.sorted;
    const held = this.backendsOf(set);
    const ids = set.slots.slice(0, count);
    const membersFit =
      set.isInline || affinitySeconds === 0
        ? set.members.size === 0
        : set.members.size === count && ids.every((backend) => set.members.has(backend));
    if (set.count === count && held.length === count && membersFit) set.sorted = held;
    return set.sorted;
  }

  backendId(backend: RouteBackend): number | undefined {
    return this.#backendIds.get(backend);
  }

  references(backend: number): number {
    return this.#references.get(backend) ?? 0;
  }

  /** Larger than every generation of this service that left anything in the kernel. */
  nextGeneration(service: number): number {
    return (this.#sets.get(service)?.lastGeneration ?? 0) + 1;
  }

  /** Follows an operation that the kernel has carried out. */
  record(operation: Operation): void {
    switch (operation.kind) {
      case 'put-backend':
        this.#putBackend(operation.id, operation.backend);
        return;
      case 'put-slots':
        this.#putSlots(operation.service, operation.generation, operation.first, operation.backends);
        return;
      case 'change-slot':
        this.#changeSlot(operation.service, operation.generation, operation.slot, operation.backend);
        return;
      case 'put-members':
        this.#putMembers(operation.service, operation.generation, operation.backends);
        return;
      case 'put-service':
        this.#putService(operation.frontend, operation, operation.sorted);
        return;
      case 'delete-service':
        this.#deleteService(frontendId(operation.frontend));
        return;
      case 'delete-slots':
        this.#deleteSlots(operation.service, operation.generation, operation.first, operation.count);
        return;
      case 'delete-members':
        this.#deleteMembers(operation.service, operation.generation, operation.backends);
        return;
      case 'delete-backend':
        this.#deleteBackend(operation.id);
        return;
      case 'grace':
        this.release(this.beginGrace());
        return;
    }
  }

  /** What a grace period that begins now will release, once it has ended: hand it to `release` then. */
  beginGrace(): Retiring {
    const retiring = this.#retiring;
    this.#retiring = nothingRetiring();
    return retiring;
  }

  release({ tails, backends, deletions }: Retiring): void {
    for (const tail of tails) {
      if (tail.set.tail !== tail) continue;
      if (tail.set.isInline) this.#dropInline(tail.set);
      else this.removable.add(tail.set);
    }
    for (const backend of backends) this.#unrefer(backend);
    this.#unfencedDeletions -= deletions;
  }

  /** The grace period did not come about: all of it waits for the next. */
  resume({ tails, backends, deletions }: Retiring): void {
    this.#retiring.tails.push(...tails);
    this.#retiring.backends.push(...backends);
    this.#retiring.deletions += deletions;
  }

  /** After a failure: every set that no service points to is on its way out, and slots that none came to count. */
  retireStrays(): void {
    for (const { sets } of this.#sets.values()) {
      for (const set of sets.values()) if (!set.tail) this.#retireBeyond(set, set.count);
    }
  }

  /** After a reading that began after a grace period: no reader holds anything but what services point to. */
  settle(): void {
    this.retireStrays();
    this.release(this.beginGrace());
    for (let id = 1; id < this.nextBackend; id += 1) if (!this.backends.has(id)) this.freeBackends.add(id);
  }

  #setFor(service: number, generation: number, isInline: boolean): BackendSet {
    const known = this.set(service, generation);
    if (known) return known;
    const set: BackendSet = {
      ...{ service, generation, isInline, slots: [], members: new Set() },
      ...{ filled: 0, count: 0, sorted: undefined, tail: undefined },
    };
    this.#seen(service, generation).sets.set(generation, set);
    return set;
  }

  #seen(service: number, generation: number): ServiceSets {
    this.nextService = Math.max(this.nextService, service + 1);
    let all = this.#sets.get(service);
    if (!all) {
      all = { sets: new Map(), lastGeneration: 0 };
      this.#sets.set(service, all);
    }
    all.lastGeneration = Math.max(generation, all.lastGeneration);
    return all;
  }

  #putBackend(id: number, backend: RouteBackend): void {
    this.backends.set(id, backend);
    this.#backendIds.set(backend, id);
    this.nextBackend = Math.max(this.nextBackend, id + 1);
    this.freeBackends.delete(id);
    this.#noteIfUnreferenced(id);
  }

  #refer(backend: number): void {
    this.#references.set(backend, this.references(backend) + 1);
    this.unreferenced.delete(backend);
  }

  #unrefer(backend: number): void {
    const left = this.references(backend) - 1;
    if (left > 0) this.#references.set(backend, left);
    else {
      this.#references.delete(backend);
      this.#noteIfUnreferenced(backend);
    }
  }

  #noteIfUnreferenced(id: number): void {
    if (this.backends.has(id) && this.references(id) === 0) this.unreferenced.add(id);
  }

  #putSlots(service: number, generation: number, first: number, backends: readonly number[]): void {
    const set = this.#setFor(service, generation, false);
    while (set.slots.length < first) set.slots.push(0);
    for (const [i, backend] of backends.entries()) {
      set.slots[first + i] = backend;
      this.#refer(backend);
    }
    set.filled += backends.length;
    this.slotCount += backends.length;
    this.#noteWritten(set, first + backends.length - 1);
  }

  #changeSlot(service: number, generation: number, slot: number, backend: number): void {
    const set = this.#setFor(service, generation, false);
    this.#retiring.backends.push(set.slots[slot] ?? 0);
    set.slots[slot] = backend;
    this.#refer(backend);
    this.#noteWritten(set, slot);
  }

  /** Slots beyond the count come into use again. */
  #noteWritten(set: BackendSet, slot: number): void {
    set.sorted = undefined;
    if (slot >= set.count) this.#keepTail(set);
  }

  #putMembers(service: number, generation: number, backends: readonly number[]): void {
    const set = this.#setFor(service, generation, false);
    for (const backend of backends) {
      set.members.add(backend);
      this.#refer(backend);
    }
    this.memberCount += backends.length;
    set.sorted = undefined;
  }

  #putService(frontend: Frontend, entry: ServiceEntry, sorted: SortedBackends | undefined): void {
    const { id, generation, count, affinitySeconds, inline } = entry;
    const name = frontendId(frontend);
    const before = this.services.get(name);
    this.services.set(name, { frontend, id, generation, count, affinitySeconds });
    this.#served.add(id);
    this.#seen(id, generation);
    if (inline.length > 0) {
      const set = this.#setFor(id, generation, true);
      set.slots.push(...inline);
      set.filled = inline.length;
      for (const backend of inline) this.#refer(backend);
    }
    const set = this.set(id, generation);
    if (set) this.#pointTo(set, count, sorted);
    if (before && before.generation !== generation) this.#retireSet(before);
  }

  #pointTo(set: BackendSet, count: number, sorted: SortedBackends | undefined): void {
    const isLess = count < set.count;
    set.count = count;
    set.sorted = sorted;
    if (isLess || !set.tail) this.#retireBeyond(set, count);
  }

  #deleteService(name: string): void {
    const served = this.services.get(name);
    if (!served) return;
    this.services.delete(name);
    this.#served.delete(served.id);
    this.#retireSet(served);
    this.#retiring.deletions += 1;
    this.#unfencedDeletions += 1;
  }

  #retireSet({ id, generation }: Served): void {
    const set = this.set(id, generation);
    if (set) this.#retireBeyond(set, 0);
    else this.#forgetIfGone(id);
  }

  #retireBeyond(set: BackendSet, count: number): void {
    set.count = count;
    this.#keepTail(set);
    if (count > 0 && set.slots.length <= count) return;
    set.tail = { set };
    this.#retiring.tails.push(set.tail);
  }

  #keepTail(set: BackendSet): void {
    set.tail = undefined;
    this.removable.delete(set);
  }

  #dropInline(set: BackendSet): void {
    for (const backend of set.slots) this.#unrefer(backend);
    this.#dropSet(set);
  }

  #deleteSlots(service: number, generation: number, first: number, count: number): void {
    const set = this.set(service, generation);
    for (let slot = first; set && slot < first + count; slot += 1) {
      const backend = set.slots[slot] ?? 0;
      if (backend === 0) continue;
      set.slots[slot] = 0;
      set.filled -= 1;
      this.slotCount -= 1;
      this.#unrefer(backend);
    }
    if (set) this.#dropIfGone(set);
  }

  #deleteMembers(service: number, generation: number, backends: readonly number[]): void {
    const set = this.set(service, generation);
    if (!set) return;
    for (const backend of backends) {
      if (!set.members.delete(backend)) continue;
      this.memberCount -= 1;
      if (set.count > 0) this.#retiring.backends.push(backend);
      else this.#unrefer(backend);
    }
    set.sorted = undefined;
    this.#dropIfGone(set);
  }

  #dropIfGone(set: BackendSet): void {
    while (set.slots.length > set.count && set.slots.at(-1) === 0) set.slots.pop();
    if (set.count > 0) {
      if (set.slots.length <= set.count) this.#keepTail(set);
    } else if (set.filled + set.members.size === 0) this.#dropSet(set);
  }

  #dropSet(set: BackendSet): void {
    this.removable.delete(set);
    this.#sets.get(set.service)?.sets.delete(set.generation);
    this.#forgetIfGone(set.service);
  }

  /** A service that is not served and has no sets left: its id never comes back. */
  #forgetIfGone(service: number): void {
    if (!this.#served.has(service) && this.#sets.get(service)?.sets.size === 0) this.#sets.delete(service);
  }

  #deleteBackend(id: number): void {
    const backend = this.backends.get(id);
    if (!backend) return;
    this.backends.delete(id);
    this.unreferenced.delete(id);
    this.freeBackends.add(id);
    if (this.#backendIds.get(backend) === id) this.#backendIds.delete(backend);
  }
}
