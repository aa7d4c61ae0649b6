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

/** The backends of one service in one generation, by slot. */
export interface BackendSet {
  readonly service: number;
  readonly generation: number;
  readonly slots: Map<number, number>;
  readonly members: Set<number>;
}

/** What one grace period releases. */
export interface Retiring {
  readonly sets: Set<string>;
  readonly states: number[];
  deletions: number;
}

const nothingRetiring = (): Retiring => ({ sets: new Set(), states: [], deletions: 0 });
const setKey = (service: number, generation: number): string => `${service} ${generation}`;
export const backendKey = ({ address, port, clusterId }: RouteBackend): string => `${address} ${port} ${clusterId}`;

export class KernelTables {
  readonly limits: TableLimits;
  readonly services = new Map<string, Served>();
  readonly backends = new Map<number, RouteBackend>();
  readonly unreferenced = new Set<number>();
  /** Sets that no reader can reach. */
  readonly removable = new Set<string>();
  slotCount = 0;
  memberCount = 0;
  nextService = 1;
  nextBackend = 1;
  nextState = 0;
  readonly freeStates: number[] = [];
  readonly #sets = new Map<string, BackendSet>();
  readonly #lastGeneration = new Map<number, number>();
  readonly #backendIds = new Map<string, number>();
  readonly #references = new Map<number, number>();
  readonly #states = new Map<number, ServiceState>();
  readonly #servedByState = new Map<number, string>();
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
    return this.#sets.get(setKey(service, generation));
  }

  removableSets(): readonly BackendSet[] {
    return [...this.removable].flatMap((key) => this.#sets.get(key) ?? []);
  }

  backendId(backend: RouteBackend): number | undefined {
    return this.#backendIds.get(backendKey(backend));
  }

  references(backend: number): number {
    return this.#references.get(backend) ?? 0;
  }

  /** Larger than every generation of this service that left anything in the kernel. */
  nextGeneration(service: number): number {
    return (this.#lastGeneration.get(service) ?? 0) + 1;
  }

  /** Follows an operation that the kernel has carried out. */
  record(operation: Operation): void {
    switch (operation.kind) {
      case 'put-backend':
        this.backends.set(operation.id, operation.backend);
        this.#backendIds.set(backendKey(operation.backend), operation.id);
        this.nextBackend = Math.max(this.nextBackend, operation.id + 1);
        if (this.references(operation.id) === 0) this.unreferenced.add(operation.id);
        return;
      case 'put-slot':
        this.#putSlot(operation.service, operation.generation, operation.slot, operation.backend);
        return;
      case 'put-member':
        this.#setFor(operation.service, operation.generation).members.add(operation.backend);
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
        if (this.set(operation.service, operation.generation)?.members.delete(operation.backend)) this.memberCount -= 1;
        this.#dropIfEmpty(operation.service, operation.generation);
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
    for (const key of sets) if (this.#sets.has(key)) this.removable.add(key);
    this.freeStates.push(...states);
    this.#unfencedDeletions -= deletions;
  }

  /** The grace period did not come about: all of it waits for the next. */
  resume({ sets, states, deletions }: Retiring): void {
    for (const key of sets) this.#retiring.sets.add(key);
    this.#retiring.states.push(...states);
    this.#retiring.deletions += deletions;
  }

  /** After a failure or a restart: every set that no service points to is on its way out. */
  retireStrays(): void {
    const current = new Set([...this.services.values()].map(({ id, generation }) => setKey(id, generation)));
    for (const key of this.#sets.keys()) {
      if (!current.has(key) && !this.removable.has(key)) this.#retiring.sets.add(key);
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
    const key = setKey(service, generation);
    let set = this.#sets.get(key);
    if (!set) {
      set = { service, generation, slots: new Map(), members: new Set() };
      this.#sets.set(key, set);
      this.#seen(service, generation);
    }
    return set;
  }

  #seen(service: number, generation: number): void {
    this.nextService = Math.max(this.nextService, service + 1);
    this.#lastGeneration.set(service, Math.max(generation, this.#lastGeneration.get(service) ?? 0));
  }

  #putSlot(service: number, generation: number, slot: number, backend: number): void {
    this.#setFor(service, generation).slots.set(slot, backend);
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
    this.#seen(id, generation);
    this.nextState = Math.max(this.nextState, state + 1);
    const free = this.freeStates.lastIndexOf(state);
    if (free >= 0) this.freeStates.splice(free, 1);
  }

  #deleteService(name: string): void {
    const served = this.services.get(name);
    if (!served) return;
    this.services.delete(name);
    this.#servedByState.delete(served.state);
    this.#lastGeneration.delete(served.id);
    this.#states.delete(served.state);
    this.#retireSet(served);
    this.#retiring.states.push(served.state);
    this.#retiring.deletions += 1;
    this.#unfencedDeletions += 1;
  }

  #retireSet({ id, generation }: Served): void {
    const key = setKey(id, generation);
    if (this.#sets.has(key)) this.#retiring.sets.add(key);
  }

  #deleteSlot(service: number, generation: number, slot: number): void {
    const set = this.set(service, generation);
    const backend = set?.slots.get(slot);
    if (!set || backend === undefined) return;
    set.slots.delete(slot);
    this.slotCount -= 1;
    const left = this.references(backend) - 1;
    if (left > 0) this.#references.set(backend, left);
    else {
      this.#references.delete(backend);
      if (this.backends.has(backend)) this.unreferenced.add(backend);
    }
    this.#dropIfEmpty(service, generation);
  }

  #dropIfEmpty(service: number, generation: number): void {
    const set = this.set(service, generation);
    if (!set || set.members.size + set.slots.size > 0) return;
    this.#sets.delete(setKey(service, generation));
    this.removable.delete(setKey(service, generation));
  }

  #deleteBackend(id: number): void {
    const backend = this.backends.get(id);
    if (!backend) return;
    this.backends.delete(id);
    this.unreferenced.delete(id);
    if (this.#backendIds.get(backendKey(backend)) === id) this.#backendIds.delete(backendKey(backend));
  }
}
