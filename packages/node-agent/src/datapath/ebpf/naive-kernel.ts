/**
 * For the planner's tests: the maps as plain maps, with the readers that could be at work on them. Says by an assertion
 * when an operation breaks D1 or D2 (datapath.ts) or G2 (kernel-tables.ts) for any of them.
 */
import assert from 'node:assert/strict';
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';
import { frontendId } from '../route-checks.ts';
import type { Operation, ServiceState } from './operation.ts';

interface Reader {
  readonly name: string;
  readonly id: number;
  readonly state: ServiceState;
}

export class NaiveKernel {
  readonly services = new Map<string, { readonly frontend: Frontend; readonly id: number; readonly state: number }>();
  readonly states = new Map<number, ServiceState>();
  readonly slots = new Map<string, number>();
  readonly backends = new Map<number, RouteBackend>();
  readonly members = new Set<string>();
  /** Every reader that took a service's entry and state since the last grace period, once each. */
  readonly #readers = new Map<string, Reader>();
  /** Every reader that took a service's entry since then, and has yet to read its state. */
  readonly #early = new Map<string, { readonly name: string; readonly id: number; readonly state: number }>();
  /** What a connection to a frontend may find: sets of addresses, as text. */
  readonly #allowed = new Map<string, Set<string>>();
  #deletedSinceGrace = false;

  perform(operation: Operation): void {
    switch (operation.kind) {
      case 'put-backend':
        assert.ok(!this.backends.has(operation.id), 'a backend is never rewritten');
        this.backends.set(operation.id, operation.backend);
        return;
      case 'put-slot':
        this.slots.set(keyOf(operation.service, operation.generation, operation.slot), operation.backend);
        return;
      case 'put-member':
        this.members.add(keyOf(operation.service, operation.generation, operation.backend));
        return;
      case 'put-state':
        this.states.set(operation.state, operation);
        return;
      case 'put-service':
        assert.ok(!this.#deletedSinceGrace, 'G2: no insertion after a deletion without a grace period');
        assert.ok(
          ![...this.services.values()].some(({ state }) => state === operation.state),
          'one state, one service',
        );
        this.services.set(frontendId(operation.frontend), operation);
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
        this.#early.clear();
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

  check(): void {
    for (const [name, { id, state }] of this.services) {
      const now = this.states.get(state);
      assert.ok(now, 'D1: a service points to a state');
      const reader = { name, id, state: now };
      const key = `${id} ${now.generation}`;
      if (!this.#readers.has(key)) {
        assert.ok(this.#allowed.get(name)?.has(textOf(this.#read(reader))), 'D2: the old set or the new one');
      }
      this.#readers.set(key, reader);
      this.#early.set(`${id} ${state}`, { name, id, state });
    }
    for (const { name, id, state } of this.#early.values()) {
      const now = this.states.get(state);
      assert.ok(now, 'D1: a state outlives its readers');
      this.#read({ name, id, state: now });
    }
    for (const reader of this.#readers.values()) this.#read(reader);
  }

  /** What each frontend's connections can reach. */
  served(): Map<string, readonly RouteBackend[]> {
    return new Map(
      [...this.services].map(([name, { id, state }]) => {
        const now = this.states.get(state) ?? { generation: 0, count: 0, affinitySeconds: 0 };
        return [name, this.#read({ name, id, state: now })];
      }),
    );
  }

  #read({ name, id, state: { generation, count, affinitySeconds } }: Reader): readonly RouteBackend[] {
    return Array.from({ length: count }, (_, slot) => {
      const backend = this.slots.get(keyOf(id, generation, slot));
      assert.ok(backend !== undefined, `D1: slot ${slot} of ${name} in generation ${generation} is there`);
      const found = this.backends.get(backend);
      assert.ok(found, `D1: backend ${backend} of ${name} is there`);
      const isMember = this.members.has(keyOf(id, generation, backend));
      assert.equal(isMember, affinitySeconds > 0, 'a set with affinity has its members, and only such a set');
      return found;
    });
  }
}

const keyOf = (...parts: readonly number[]): string => parts.join(' ');
const textOf = (backends: readonly RouteBackend[]): string => backends.map(({ address }) => address).join(' ');
