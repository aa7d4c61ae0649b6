/**
 * For the planner's tests: the maps as plain maps, with the readers that could be at work on them. Says by an assertion
 * when an operation breaks D1 or D2 (datapath.ts), G1 or G2 (map-state.ts) for any of them. A reader looks at a
 * service's entry, then at a slot or a member, then at a backend: after every operation each pick of each reader is
 * tried, and what one may have picked must still be the same backend until a grace period has ended that began later.
 */
import assert from 'node:assert/strict';
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import { INLINE_BACKENDS } from './layout.ts';
import type { PlannedOperation, ServiceValue, SetKey } from './operation.ts';
import { SLOTS_A_PART } from './parts.ts';

/** Somebody who has looked at a service's entry and goes on from there. */
interface Reader {
  readonly name: string;
  readonly entry: ServiceValue;
  /** What it would find in all slots; undefined once its set was changed where it is. */
  found: string | undefined;
  /** Backends of every set that the frontend was to have from then on. */
  readonly allowed: Set<string>;
  /** When the last such reader began. */
  lastAt: number;
}

interface Pick {
  readonly backend: string;
  /** When the last reader began that could pick it. */
  lastAt: number;
}

/** What a connection that begins now may find: whole sets, and the backends in them. */
interface Allowed {
  readonly sets: Set<string>;
  readonly backends: Set<string>;
}

export class NaiveKernel {
  readonly services = new Map<string, ServiceValue>();
  /** Parts, whole. */
  readonly slots = new Map<string, readonly number[]>();
  readonly backends = new Map<number, RouteBackend>();
  readonly members = new Set<string>();
  readonly #readers = new Map<string, Reader>();
  readonly #picks = new Map<number, Pick>();
  readonly #allowed = new Map<string, Allowed>();
  /** Sets that are changed where they are, until the change is over. */
  readonly #changing = new Set<string>();
  #now = 1;
  #deletedAt = 0;

  perform(operation: PlannedOperation): void {
    this.#now += 1;
    switch (operation.kind) {
      case 'put-backend':
        assert.ok(operation.id > 0 && !this.backends.has(operation.id), 'a backend is never written over');
        this.backends.set(operation.id, operation.backend);
        return;
      case 'put-slots':
        assert.equal(operation.first % SLOTS_A_PART, 0, 'a new part begins with its first slot');
        for (let i = 0; i < operation.backends.length; i += SLOTS_A_PART) {
          const key = keyOf(operation, (operation.first + i) / SLOTS_A_PART);
          assert.ok(!this.slots.has(key), 'a new part is not there yet');
          const part = operation.backends.slice(i, i + SLOTS_A_PART);
          this.slots.set(key, [...part, ...Array(SLOTS_A_PART - part.length).fill(0)]);
        }
        return;
      case 'change-slot': {
        const key = keyOf(operation, Math.floor(operation.slot / SLOTS_A_PART));
        const part = this.slots.get(key);
        assert.ok(part, 'the part of a slot that is changed is there');
        this.slots.set(key, part.with(operation.slot % SLOTS_A_PART, operation.backend));
        this.#noteChange(operation);
        return;
      }
      case 'put-members':
        for (const backend of operation.backends) this.members.add(keyOf(operation, backend));
        this.#noteChange(operation);
        return;
      case 'put-service':
        this.#putService(frontendId(operation.frontend), operation);
        return;
      case 'delete-service':
        assert.ok(this.services.delete(frontendId(operation.frontend)), 'only what is there is deleted');
        this.#deletedAt = this.#now;
        return;
      case 'delete-slots':
        assert.deepEqual([operation.first % SLOTS_A_PART, operation.count % SLOTS_A_PART], [0, 0], 'whole parts go');
        for (let slot = operation.first; slot < operation.first + operation.count; slot += SLOTS_A_PART) {
          this.slots.delete(keyOf(operation, slot / SLOTS_A_PART));
        }
        return;
      case 'delete-members':
        for (const backend of operation.backends) assert.ok(this.members.delete(keyOf(operation, backend)));
        this.#noteChange(operation);
        return;
      case 'delete-backend':
        assert.ok(this.backends.delete(operation.id), 'only what is there is deleted');
        return;
      case 'grace':
        this.endGrace(this.beginGrace());
    }
  }

  /** A grace period that begins now; to be given to `endGrace`. */
  beginGrace(): number {
    this.#now += 1;
    return this.#now;
  }

  /** Whoever began before it has ended. */
  endGrace(begun: number): void {
    for (const [key, { lastAt }] of this.#readers) if (lastAt < begun) this.#readers.delete(key);
    for (const [id, { lastAt }] of this.#picks) if (lastAt < begun) this.#picks.delete(id);
    if (this.#deletedAt < begun) this.#deletedAt = 0;
  }

  /** From now on a connection may also find these sets. */
  allow(wanted: readonly { readonly frontend: Frontend; readonly backends: readonly RouteBackend[] }[]): void {
    for (const { frontend, backends } of wanted) {
      const name = frontendId(frontend);
      const allowed = this.#allowed.get(name) ?? { sets: new Set(), backends: new Set() };
      this.#allowed.set(name, allowed);
      allowed.sets.add(setText(backends));
      const readers = [...this.#readers.values()].filter((reader) => reader.name === name);
      for (const to of [allowed.backends, ...readers.map((reader) => reader.allowed)]) {
        for (const backend of backends) to.add(textOf(backend));
      }
    }
  }

  /**
   * The change is over: who begins now finds what is served, and only that. `torn`: whose change failed half-way; their
   * connections may find either set until it is tried again.
   */
  settle(torn: ReadonlySet<string> = new Set()): void {
    for (const name of this.#allowed.keys()) if (!torn.has(name)) this.#allowed.delete(name);
    const kept = [...this.services].filter(([name]) => torn.has(name)).map(([, entry]) => keyOf(setOf(entry), 0));
    for (const set of this.#changing) if (!kept.includes(set)) this.#changing.delete(set);
    for (const [name, backends] of this.served()) {
      if (torn.has(name)) continue;
      this.#allowed.set(name, { sets: new Set([setText(backends)]), backends: new Set(backends.map(textOf)) });
    }
  }

  /** Plays every reader: one for each service that begins now, and those that began earlier. */
  check(): void {
    for (const [name, entry] of this.services) this.#begin(name, entry);
    for (const reader of this.#readers.values()) this.#goOn(reader);
    for (const [id, { backend }] of this.#picks) {
      assert.equal(textOf(this.backends.get(id)), backend, 'G1: nothing changes under a reader');
    }
  }

  /** What each frontend's connections can reach, slot by slot. */
  served(): Map<string, readonly RouteBackend[]> {
    return new Map([...this.services].map(([name, entry]) => [name, this.#read(name, entry)]));
  }

  #putService(name: string, entry: ServiceValue): void {
    const before = this.services.get(name);
    assert.ok(before || this.#deletedAt === 0, 'G2: no insertion after a deletion without a grace period');
    assert.ok(!before || before.id === entry.id, 'a frontend keeps its id');
    assert.equal(entry.inline.length, entry.count <= INLINE_BACKENDS ? entry.count : 0);
    const { id, generation, count, affinitySeconds, inline } = entry;
    this.services.set(name, { id, generation, count, affinitySeconds, inline });
    if (before?.generation === generation) this.#noteChange({ service: id, generation });
  }

  /** Of the set that a service points to. */
  #noteChange(set: SetKey): void {
    const current = [...this.services.values()].map((entry) => keyOf(setOf(entry), 0));
    if (!current.includes(keyOf(set, 0))) return;
    this.#changing.add(keyOf(set, 0));
    for (const reader of this.#readers.values()) {
      if (keyOf(setOf(reader.entry), 0) === keyOf(set, 0)) reader.found = undefined;
    }
  }

  #begin(name: string, entry: ServiceValue): void {
    const allowed = this.#allowed.get(name);
    assert.ok(allowed, `${name} is wanted`);
    const isChanging = this.#changing.has(keyOf(setOf(entry), 0));
    if (!isChanging) this.#expectMembers(entry);
    const key = `${keyOf(setOf(entry), entry.count)} ${entry.affinitySeconds}`;
    const known = this.#readers.get(key);
    if (known) {
      known.lastAt = this.#now;
      return;
    }
    const found = isChanging ? undefined : setText(this.#read(name, entry));
    assert.ok(found === undefined || allowed.sets.has(found), 'D2: the old set or the new one');
    this.#readers.set(key, { name, entry, found, allowed: new Set(allowed.backends), lastAt: this.#now });
  }

  #goOn({ name, entry, found, allowed, lastAt }: Reader): void {
    const all = this.#read(name, entry);
    if (found !== undefined) {
      assert.equal(setText(all), found, 'G1: nothing changes under a reader');
      this.#expectMembers(entry);
    }
    for (const backend of all) assert.ok(allowed.has(textOf(backend)), 'D2: a backend of the old set or the new one');
    for (const id of this.#idsOf(entry)) {
      const backend = textOf(this.backends.get(id));
      const pick = this.#picks.get(id) ?? { backend, lastAt };
      pick.lastAt = Math.max(pick.lastAt, lastAt);
      this.#picks.set(id, pick);
      assert.ok(allowed.has(backend), 'D2: affinity leads to a backend of the old set or the new one');
    }
  }

  /** By slots and by affinity. */
  #idsOf(entry: ServiceValue): readonly number[] {
    if (entry.count <= INLINE_BACKENDS) return entry.inline;
    const inSlots = Array.from({ length: entry.count }, (_, slot) => this.#slot(setOf(entry), slot) ?? 0);
    const members = [...this.backends.keys()].filter((id) => this.members.has(keyOf(setOf(entry), id)));
    return [...inSlots, ...members];
  }

  /** Without its members a set with affinity would lose it. */
  #expectMembers(entry: ServiceValue): void {
    if (entry.affinitySeconds === 0 || entry.count <= INLINE_BACKENDS) return;
    const ids = Array.from({ length: entry.count }, (_, slot) => this.#slot(setOf(entry), slot) ?? 0);
    const members = [...this.backends.keys()].filter((id) => this.members.has(keyOf(setOf(entry), id)));
    assert.deepEqual(members.sort(), [...new Set(ids)].sort(), 'a large set with affinity has its members');
  }

  /** Undefined where it is not filled. */
  #slot(set: SetKey, slot: number): number | undefined {
    return this.slots.get(keyOf(set, Math.floor(slot / SLOTS_A_PART)))?.[slot % SLOTS_A_PART] || undefined;
  }

  #read(name: string, entry: ServiceValue): readonly RouteBackend[] {
    const { generation, count, inline } = entry;
    const set = setOf(entry);
    return Array.from({ length: count }, (_, slot) => {
      const isInline = count <= INLINE_BACKENDS;
      const backend = isInline ? inline[slot] : this.#slot(set, slot);
      assert.ok(backend !== undefined, `D1: slot ${slot} of ${name} in generation ${generation} is there`);
      const found = this.backends.get(backend);
      assert.ok(found, `D1: backend ${backend} of ${name} is there`);
      return found;
    });
  }
}

const keyOf = ({ service, generation }: SetKey, third: number): string => `${service} ${generation} ${third}`;
const setOf = ({ id, generation }: ServiceValue): SetKey => ({ service: id, generation });
const textOf = (backend: RouteBackend | undefined): string => `${backend?.address} ${backend?.clusterId}`;
const setText = (backends: readonly RouteBackend[]): string => backends.map(textOf).sort().join(', ');
