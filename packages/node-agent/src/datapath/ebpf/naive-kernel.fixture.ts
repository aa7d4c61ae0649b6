/**
 * For the planner's tests: the maps as plain maps, with the readers that could be at work on them. Says by an assertion
 * when an operation breaks D1 or D2 (datapath.ts), G1 or G2 (kernel-tables.ts) for any of them.
 */
import assert from 'node:assert/strict';
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import { INLINE_BACKENDS } from './layout.ts';
import type { Operation, ServiceEntry } from './operation.ts';

/** Somebody who has looked at a service's entry and goes on from there. */
interface Reader {
  readonly name: string;
  readonly entry: ServiceEntry;
  /** What it would find right then. */
  readonly found: string;
}

export class NaiveKernel {
  readonly services = new Map<string, ServiceEntry>();
  readonly slots = new Map<string, number>();
  readonly backends = new Map<number, RouteBackend>();
  readonly members = new Set<string>();
  /** One for each entry that could be read since the last grace period. */
  readonly #readers = new Map<string, Reader>();
  /** What a connection to a frontend may find: sets of addresses, as text. */
  readonly #allowed = new Map<string, Set<string>>();
  #deletedSinceGrace = false;

  perform(operation: Operation): void {
    switch (operation.kind) {
      case 'put-backend':
        assert.ok(operation.id > 0 && !this.backends.has(operation.id), 'a backend is never written over');
        this.backends.set(operation.id, operation.backend);
        return;
      case 'put-slot':
        this.slots.set(keyOf(operation.service, operation.generation, operation.slot), operation.backend);
        return;
      case 'put-member':
        this.members.add(keyOf(operation.service, operation.generation, operation.backend));
        return;
      case 'put-service':
        this.#putService(frontendId(operation.frontend), operation);
        return;
      case 'delete-service':
        assert.ok(this.services.delete(frontendId(operation.frontend)), 'only what is there is deleted');
        this.#deletedSinceGrace = true;
        return;
      case 'delete-slot':
        assert.ok(this.slots.delete(keyOf(operation.service, operation.generation, operation.slot)));
        return;
      case 'delete-member':
        assert.ok(this.members.delete(keyOf(operation.service, operation.generation, operation.backend)));
        return;
      case 'delete-backend':
        assert.ok(this.backends.delete(operation.id), 'only what is there is deleted');
        return;
      case 'grace':
        this.#readers.clear();
        this.#deletedSinceGrace = false;
    }
  }

  /** From now on a connection may also find these sets. */
  allow(wanted: readonly { readonly frontend: Frontend; readonly backends: readonly RouteBackend[] }[]): void {
    for (const { frontend, backends } of wanted) {
      const name = frontendId(frontend);
      this.#allowed.set(name, (this.#allowed.get(name) ?? new Set()).add(textOf(backends)));
    }
  }

  /** The change is over: who begins now finds what is served, and only that. */
  settle(): void {
    this.#allowed.clear();
    for (const [name, backends] of this.served()) this.#allowed.set(name, new Set([textOf(backends)]));
  }

  /** Plays every reader: one for each service that begins now, and those that began earlier. */
  check(): void {
    for (const [name, entry] of this.services) {
      const key = `${entry.id} ${entry.generation}`;
      if (this.#readers.has(key)) continue;
      const found = textOf(this.#read(name, entry));
      assert.ok(this.#allowed.get(name)?.has(found), 'D2: the old set or the new one');
      this.#readers.set(key, { name, entry, found });
    }
    for (const { name, entry, found } of this.#readers.values()) {
      assert.equal(textOf(this.#read(name, entry)), found, 'G1: nothing changes under a reader');
    }
  }

  /** What each frontend's connections can reach. */
  served(): Map<string, readonly RouteBackend[]> {
    return new Map([...this.services].map(([name, entry]) => [name, this.#read(name, entry)]));
  }

  #putService(name: string, entry: ServiceEntry): void {
    const before = this.services.get(name);
    assert.ok(before || !this.#deletedSinceGrace, 'G2: no insertion after a deletion without a grace period');
    assert.ok(!before || before.id === entry.id, 'a frontend keeps its id');
    assert.equal(entry.inline.length, entry.count <= INLINE_BACKENDS ? entry.count : 0);
    const { id, generation, count, affinitySeconds, inline } = entry;
    this.services.set(name, { id, generation, count, affinitySeconds, inline });
  }

  #read(name: string, { id, generation, count, affinitySeconds, inline }: ServiceEntry): readonly RouteBackend[] {
    return Array.from({ length: count }, (_, slot) => {
      const isInline = count <= INLINE_BACKENDS;
      const backend = isInline ? inline[slot] : this.slots.get(keyOf(id, generation, slot));
      assert.ok(backend !== undefined, `D1: slot ${slot} of ${name} in generation ${generation} is there`);
      const found = this.backends.get(backend);
      assert.ok(found, `D1: backend ${backend} of ${name} is there`);
      const isMember = this.members.has(keyOf(id, generation, backend));
      assert.equal(isMember, !isInline && affinitySeconds > 0, 'a large set with affinity has its members');
      return found;
    });
  }
}

const keyOf = (...parts: readonly number[]): string => parts.join(' ');
const textOf = (backends: readonly RouteBackend[]): string => backends.map(({ address }) => address).join(' ');
