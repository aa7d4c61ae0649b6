/**
 * A picture of what the pinned maps hold: it follows each operation that the kernel carried out, and nothing else, so a
 * step that failed leaves no trace here. Knows what is no longer pointed to and when that may go:
 *
 * G1. What a reader may still hold (a set that was switched away from, and so its backends) is `retiring` until a grace
 *     period that began later has ended. Only then may slots be deleted, and backends' ids be given to others.
 * G2. A hash map may hand a deleted service's element to another at once, under a reader's eyes. So nothing is added to
 *     `services` after a deletion before a grace period (`needsGrace`).
 */
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import type { Operation, ServiceEntry } from './operation.ts';

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
export interface BackendSet {
  readonly service: number;
  readonly generation: number;
  /** In the service's own entry: goes with it. Else each slot and member is an entry of its own. */
  readonly isInline: boolean;
  /** Backend ids; 0 where a slot is not filled. */
  readonly slots: number[];
  /** Those with an entry in `affinity_ok`. */
  readonly members: number[];
  filled: number;
  /** On its way out: it waits for a grace period, once. */
  isRetired: boolean;
}

/** All sets of one service: the current one, and those on their way in or out. */
interface ServiceSets {
  readonly sets: BackendSet[];
  lastGeneration: number;
}

/** What one grace period releases. */
export interface Retiring {
  readonly sets: Set<BackendSet>;
  deletions: number;
}

const nothingRetiring = (): Retiring => ({ sets: new Set(), deletions: 0 });
export const backendKey = ({ address, port, clusterId }: RouteBackend): string => `${address} ${port} ${clusterId}`;

export class KernelTables {
  readonly limits: TableLimits;
  readonly services = new Map<string, Served>();
  readonly backends = new Map<number, RouteBackend>();
  /** Backends that no set names and no reader holds. */
  readonly unreferenced = new Set<number>();
  /** Sets that no reader can reach, but whose entries are there. */
  readonly removable = new Set<BackendSet>();
  slotCount = 0;
  memberCount = 0;
  nextService = 1;
  nextBackend = 1;
  /** Ids below `nextBackend` that are free. */
  readonly freeBackends: number[] = [];
  readonly #sets = new Map<number, ServiceSets>();
  readonly #served = new Set<number>();
  readonly #backendIds = new Map<string, number>();
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
    const { sets, deletions } = this.#retiring;
    return sets.size + deletions + this.removable.size + this.unreferenced.size > 0;
  }

  set(service: number, generation: number): BackendSet | undefined {
    return this.#sets.get(service)?.sets.find((set) => set.generation === generation);
  }

  /** By `backendKey`. */
  backendId(key: string): number | undefined {
    return this.#backendIds.get(key);
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
      case 'put-slot':
        this.#putSlot(operation.service, operation.generation, operation.slot, operation.backend);
        return;
      case 'put-member':
        this.#setFor(operation.service, operation.generation, false).members.push(operation.backend);
        this.memberCount += 1;
        return;
      case 'put-service':
        this.#putService(operation.frontend, operation);
        return;
      case 'delete-service':
        this.#deleteService(frontendId(operation.frontend));
        return;
      case 'delete-slot':
        this.#deleteSlot(operation.service, operation.generation, operation.slot);
        return;
      case 'delete-member':
        this.#deleteMember(operation.service, operation.generation, operation.backend);
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

  release({ sets, deletions }: Retiring): void {
    for (const set of sets) {
      if (set.isInline) this.#dropInline(set);
      else this.removable.add(set);
    }
    this.#unfencedDeletions -= deletions;
  }

  /** The grace period did not come about: all of it waits for the next. */
  resume({ sets, deletions }: Retiring): void {
    for (const set of sets) this.#retiring.sets.add(set);
    this.#retiring.deletions += deletions;
  }

  /** After a failure: every set that no service points to is on its way out. */
  retireStrays(): void {
    const current = new Map([...this.services.values()].map(({ id, generation }) => [id, generation]));
    for (const [service, { sets }] of this.#sets) {
      for (const set of sets) {
        if (current.get(service) !== set.generation) this.#retire(set);
      }
    }
  }

  /** After a reading that began after a grace period: no reader holds anything but what services point to. */
  settle(): void {
    this.retireStrays();
    this.release(this.beginGrace());
    for (let id = 1; id < this.nextBackend; id += 1) if (!this.backends.has(id)) this.freeBackends.push(id);
  }

  #setFor(service: number, generation: number, isInline: boolean): BackendSet {
    const known = this.set(service, generation);
    if (known) return known;
    const set = { service, generation, isInline, slots: [], members: [], filled: 0, isRetired: false };
    this.#seen(service, generation).sets.push(set);
    return set;
  }

  #seen(service: number, generation: number): ServiceSets {
    this.nextService = Math.max(this.nextService, service + 1);
    let all = this.#sets.get(service);
    if (!all) {
      all = { sets: [], lastGeneration: 0 };
      this.#sets.set(service, all);
    }
    all.lastGeneration = Math.max(generation, all.lastGeneration);
    return all;
  }

  #putBackend(id: number, backend: RouteBackend): void {
    this.backends.set(id, backend);
    this.#backendIds.set(backendKey(backend), id);
    this.nextBackend = Math.max(this.nextBackend, id + 1);
    const free = this.freeBackends.lastIndexOf(id);
    if (free >= 0) this.freeBackends.splice(free, 1);
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

  #putSlot(service: number, generation: number, slot: number, backend: number): void {
    const set = this.#setFor(service, generation, false);
    while (set.slots.length < slot) set.slots.push(0);
    set.slots[slot] = backend;
    set.filled += 1;
    this.slotCount += 1;
    this.#refer(backend);
  }

  #putService(frontend: Frontend, { id, generation, count, affinitySeconds, inline }: ServiceEntry): void {
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
    if (before && before.generation !== generation) this.#retireSet(before);
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
    if (set) this.#retire(set);
    else this.#forgetIfGone(id);
  }

  #retire(set: BackendSet): void {
    if (!set.isRetired) this.#retiring.sets.add(set);
    set.isRetired = true;
  }

  #dropInline(set: BackendSet): void {
    for (const backend of set.slots) this.#unrefer(backend);
    this.#dropSet(set);
  }

  #deleteSlot(service: number, generation: number, slot: number): void {
    const set = this.set(service, generation);
    const backend = set?.slots[slot] ?? 0;
    if (!set || backend === 0) return;
    set.slots[slot] = 0;
    set.filled -= 1;
    this.slotCount -= 1;
    this.#unrefer(backend);
    if (set.filled + set.members.length === 0) this.#dropSet(set);
  }

  #deleteMember(service: number, generation: number, backend: number): void {
    const set = this.set(service, generation);
    const at = set?.members.lastIndexOf(backend) ?? -1;
    if (!set || at < 0) return;
    set.members.splice(at, 1);
    this.memberCount -= 1;
    if (set.filled + set.members.length === 0) this.#dropSet(set);
  }

  #dropSet(set: BackendSet): void {
    this.removable.delete(set);
    const sets = this.#sets.get(set.service)?.sets;
    sets?.splice(sets.indexOf(set), 1);
    this.#forgetIfGone(set.service);
  }

  /** A service that is not served and has no sets left: its id never comes back. */
  #forgetIfGone(service: number): void {
    if (!this.#served.has(service) && this.#sets.get(service)?.sets.length === 0) this.#sets.delete(service);
  }

  #deleteBackend(id: number): void {
    const backend = this.backends.get(id);
    if (!backend) return;
    this.backends.delete(id);
    this.unreferenced.delete(id);
    this.freeBackends.push(id);
    const key = backendKey(backend);
    if (this.#backendIds.get(key) === id) this.#backendIds.delete(key);
  }
}
