/**
 * A picture of what the pinned maps hold: it follows each operation that the kernel carried out, and nothing else, so a
 * step that failed leaves no trace here. Knows what is no longer pointed to and when that may go:
 *
 * G1. What a reader may still hold (a set that was switched away from, the state of a removed service) is `retiring`
 *     until a grace period that began later has ended.
 * G2. A hash map may hand a deleted service's element to another at once, under a reader's eyes. So nothing is added to
 *     `services` after a deletion before a grace period (`needsGrace`).
 */
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';
import { frontendId } from '../route-checks.ts';
import type { Operation, ServiceState } from './operation.ts';

/** Entries that each table takes. */
export interface TableLimits {
  readonly services: number;
  readonly slots: number;
  readonly backends: number;
  readonly affinityOk: number;
}

export interface Served extends ServiceState {
  readonly frontend: Frontend;
  readonly id: number;
  readonly state: number;
}

/** The backends of one service in one generation. */
export interface BackendSet {
  readonly service: number;
  readonly generation: number;
  /** Backend ids; 0 where a slot is not filled. */
  readonly slots: number[];
  /** Those with an entry in `affinity_ok`. */
  readonly members: number[];
  filled: number;
}

/** All sets of one service: the current one, and those on their way in or out. */
interface ServiceSets {
  readonly sets: BackendSet[];
  lastGeneration: number;
}

/** What one grace period releases. */
export interface Retiring {
  readonly sets: Set<BackendSet>;
  readonly states: number[];
  deletions: number;
}

const nothingRetiring = (): Retiring => ({ sets: new Set(), states: [], deletions: 0 });
export const backendKey = ({ address, port, clusterId }: RouteBackend): string => `${address} ${port} ${clusterId}`;

export class KernelTables {
  readonly limits: TableLimits;
  readonly services = new Map<string, Served>();
  readonly backends = new Map<number, RouteBackend>();
  readonly unreferenced = new Set<number>();
  /** Sets that no reader can reach. */
  readonly removable = new Set<BackendSet>();
  slotCount = 0;
  memberCount = 0;
  nextService = 1;
  nextBackend = 1;
  nextState = 0;
  readonly freeStates: number[] = [];
  readonly #sets = new Map<number, ServiceSets>();
  readonly #backendIds = new Map<string, number>();
  readonly #references = new Map<number, number>();
  readonly #states = new Map<number, ServiceState>();
  readonly #servedByState = new Map<number, string>();
  /** Ids of the services that are served. */
  readonly #served = new Set<number>();
  #retiring = nothingRetiring();
  #unfencedDeletions = 0;

  constructor(limits: TableLimits) {
    this.limits = limits;
  }

  get needsGrace(): boolean {
    return this.#unfencedDeletions > 0;
  }

  get hasGarbage(): boolean {
    const { sets, states, deletions } = this.#retiring;
    return sets.size + states.length + deletions + this.removable.size + this.unreferenced.size > 0;
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
        this.#setFor(operation.service, operation.generation).members.push(operation.backend);
        this.memberCount += 1;
        return;
      case 'put-state':
        this.#putState(operation.state, operation);
        return;
      case 'put-service':
        this.#putService(operation.frontend, operation.id, operation.state);
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

  release({ sets, states, deletions }: Retiring): void {
    for (const set of sets) this.removable.add(set);
    this.freeStates.push(...states);
    this.#unfencedDeletions -= deletions;
  }

  /** The grace period did not come about: all of it waits for the next. */
  resume({ sets, states, deletions }: Retiring): void {
    for (const set of sets) this.#retiring.sets.add(set);
    this.#retiring.states.push(...states);
    this.#retiring.deletions += deletions;
  }

  /** After a failure or a restart: every set that no service points to is on its way out. */
  retireStrays(): void {
    const current = new Map([...this.services.values()].map(({ id, generation }) => [id, generation]));
    for (const [service, { sets }] of this.#sets) {
      for (const set of sets) {
        if (current.get(service) !== set.generation && !this.removable.has(set)) this.#retiring.sets.add(set);
      }
    }
  }

  /** After a restart: nobody knows what was deleted last, nor which states may still be read. */
  distrustHistory(): void {
    this.#retiring.deletions += 1;
    this.#unfencedDeletions += 1;
    for (let state = 0; state < this.nextState; state += 1) {
      if (!this.#servedByState.has(state)) this.#retiring.states.push(state);
    }
  }

  #setFor(service: number, generation: number): BackendSet {
    const known = this.set(service, generation);
    if (known) return known;
    const set = { service, generation, slots: [], members: [], filled: 0 };
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
    if (this.references(id) === 0) this.unreferenced.add(id);
  }

  #putSlot(service: number, generation: number, slot: number, backend: number): void {
    const set = this.#setFor(service, generation);
    while (set.slots.length < slot) set.slots.push(0);
    set.slots[slot] = backend;
    set.filled += 1;
    this.slotCount += 1;
    this.#references.set(backend, this.references(backend) + 1);
    this.unreferenced.delete(backend);
    this.nextBackend = Math.max(this.nextBackend, backend + 1);
  }

  #putState(state: number, { generation, count, affinitySeconds }: ServiceState): void {
    this.#states.set(state, { generation, count, affinitySeconds });
    const name = this.#servedByState.get(state);
    const served = name === undefined ? undefined : this.services.get(name);
    if (!served || name === undefined) return;
    if (served.generation !== generation) this.#retireSet(served);
    this.services.set(name, { ...served, generation, count, affinitySeconds });
    this.#seen(served.id, generation);
  }

  #putService(frontend: Frontend, id: number, state: number): void {
    const { generation, count, affinitySeconds } = this.#states.get(state) ?? {
      generation: 0,
      count: 0,
      affinitySeconds: 0,
    };
    const name = frontendId(frontend);
    this.services.set(name, { frontend, id, state, generation, count, affinitySeconds });
    this.#servedByState.set(state, name);
    this.#served.add(id);
    this.#seen(id, generation);
    this.nextState = Math.max(this.nextState, state + 1);
    const free = this.freeStates.lastIndexOf(state);
    if (free >= 0) this.freeStates.splice(free, 1);
  }

  #deleteService(name: string): void {
    const served = this.services.get(name);
    if (!served) return;
    this.services.delete(name);
    this.#served.delete(served.id);
    this.#servedByState.delete(served.state);
    this.#states.delete(served.state);
    this.#retireSet(served);
    this.#retiring.states.push(served.state);
    this.#retiring.deletions += 1;
    this.#unfencedDeletions += 1;
  }

  #retireSet({ id, generation }: Served): void {
    const set = this.set(id, generation);
    if (set) this.#retiring.sets.add(set);
    else this.#dropIfEmpty(id);
  }

  #deleteSlot(service: number, generation: number, slot: number): void {
    const set = this.set(service, generation);
    const backend = set?.slots[slot] ?? 0;
    if (!set || backend === 0) return;
    set.slots[slot] = 0;
    set.filled -= 1;
    this.slotCount -= 1;
    const left = this.references(backend) - 1;
    if (left > 0) this.#references.set(backend, left);
    else {
      this.#references.delete(backend);
      if (this.backends.has(backend)) this.unreferenced.add(backend);
    }
    this.#dropSetIfEmpty(set);
  }

  #deleteMember(service: number, generation: number, backend: number): void {
    const set = this.set(service, generation);
    const at = set?.members.lastIndexOf(backend) ?? -1;
    if (!set || at < 0) return;
    set.members.splice(at, 1);
    this.memberCount -= 1;
    this.#dropSetIfEmpty(set);
  }

  #dropSetIfEmpty(set: BackendSet): void {
    if (set.filled + set.members.length > 0) return;
    this.removable.delete(set);
    const sets = this.#sets.get(set.service)?.sets;
    sets?.splice(sets.indexOf(set), 1);
    this.#dropIfEmpty(set.service);
  }

  /** A service that is not served and has no sets left: its id never comes back. */
  #dropIfEmpty(service: number): void {
    if (!this.#served.has(service) && this.#sets.get(service)?.sets.length === 0) this.#sets.delete(service);
  }

  #deleteBackend(id: number): void {
    const backend = this.backends.get(id);
    if (!backend) return;
    this.backends.delete(id);
    this.unreferenced.delete(id);
    const key = backendKey(backend);
    if (this.#backendIds.get(key) === id) this.#backendIds.delete(key);
  }
}
