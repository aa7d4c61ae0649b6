import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import { MapState } from './map-state.ts';
import type { MapOperation } from './operation.ts';
import { planSweep } from './planner.ts';

const LIMITS = { services: 10, slots: 100, backends: 10, affinity_ok: 10 };
const WEB: Frontend = { kind: 'ClusterIP', address: ip('10.96.0.1'), port: 80, protocol: 'TCP' };

/** Backends 1 to 10 are there, and `WEB` was switched through `sets` to the last of them. */
function switched(...sets: readonly (readonly number[])[]): MapState {
  const tables = new MapState(LIMITS);
  for (let id = 1; id <= 10; id += 1) {
    tables.record({ kind: 'put-backend', id, backend: { address: ip(`10.0.0.${id}`), port: 80, clusterId: 1 } });
  }
  for (const [at, ids] of sets.entries()) {
    const generation = at + 1;
    const inline = ids.length <= 7 ? ids : [];
    if (inline.length === 0) tables.record({ kind: 'put-slots', service: 1, generation, first: 0, backends: ids });
    const entry = { id: 1, generation, count: ids.length, affinitySeconds: 0, inline };
    tables.record({ kind: 'put-service', frontend: WEB, ...entry });
  }
  return tables;
}

const sweepOf = (tables: MapState): readonly MapOperation[] =>
  planSweep(tables).flatMap(({ operation }) => (operation.kind === 'grace' ? [] : operation));

describe('MapState', () => {
  it('releases a small set once, when a change fails during its grace period', () => {
    const tables = switched([1, 2], [2, 3]);
    const retiring = tables.beginGrace();
    tables.retireStrays();
    tables.release(retiring);
    tables.release(tables.beginGrace());
    assert.deepEqual(
      [1, 2, 3].map((id) => tables.backends.references(id)),
      [0, 1, 1],
    );
    assert.deepEqual(tables.services.get(frontendId(WEB))?.slots, [2, 3]);
  });

  it('releases a large set once, when a change fails during its grace period', () => {
    const tables = switched([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7]);
    const retiring = tables.beginGrace();
    tables.retireStrays();
    tables.release(retiring);
    for (const _ of ['slots', 'backends']) for (const operation of sweepOf(tables)) tables.record(operation);
    tables.release(tables.beginGrace());
    assert.equal(tables.hasGarbage, false);
  });

  /** So many of the slots count. */
  const counting = (tables: MapState, count: number, affinitySeconds = 0): void => {
    const entry = { id: 1, generation: 1, count, affinitySeconds, inline: [] };
    tables.record({ kind: 'put-service', frontend: WEB, ...entry });
  };
  const ten = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
  const deletion = (first: number, count: number) => ({
    kind: 'delete-slots',
    service: 1,
    generation: 1,
    first,
    count,
  });

  /** Slots in a part that others of the set are in, too. */
  const cleared = (...slots: readonly number[]) =>
    slots.map((slot) => ({ kind: 'change-slot', service: 1, generation: 1, slot, backend: 0 }));

  it('keeps slots beyond the count for a grace period that begins after the last time that it shrank', () => {
    const tables = switched(ten);
    counting(tables, 9);
    const first = tables.beginGrace();
    counting(tables, 8);
    tables.release(first);
    assert.deepEqual(sweepOf(tables), []);
    tables.release(tables.beginGrace());
    assert.deepEqual(sweepOf(tables), cleared(8, 9));
  });

  it('keeps slots beyond the count that come into use again', () => {
    const tables = switched(ten);
    counting(tables, 8);
    const retiring = tables.beginGrace();
    tables.record({ kind: 'change-slot', service: 1, generation: 1, slot: 8, backend: 1 });
    tables.release(retiring);
    assert.deepEqual(sweepOf(tables), []);
    counting(tables, 9);
    tables.release(tables.beginGrace());
    assert.deepEqual(sweepOf(tables).slice(0, 1), cleared(9));
    tables.record({ kind: 'change-slot', service: 1, generation: 1, slot: 9, backend: 2 });
    assert.deepEqual(
      sweepOf(tables).filter(({ kind }) => kind === 'change-slot'),
      [],
    );
  });

  it('keeps a backend that is a member, and one that was a member until the end of a grace period', () => {
    const tables = switched([1, 2, 3, 4, 5, 6, 7, 8]);
    tables.record({ kind: 'put-members', service: 1, generation: 1, backends: [9] });
    assert.deepEqual([...tables.backends.unreferenced], [10]);
    tables.record({ kind: 'delete-members', service: 1, generation: 1, backends: [9] });
    assert.deepEqual([...tables.backends.unreferenced], [10]);
    tables.release(tables.beginGrace());
    assert.deepEqual([...tables.backends.unreferenced], [10, 9]);
  });

  it('knows that a set lacks members', () => {
    const tables = switched(ten);
    const served = () => tables.services.get(frontendId(WEB)) ?? assert.fail();
    tables.record({ kind: 'put-members', service: 1, generation: 1, backends: ten });
    counting(tables, 10, 60);
    assert.equal(tables.contentOf(served())?.length, 10);
    tables.record({ kind: 'delete-members', service: 1, generation: 1, backends: [3] });
    assert.equal(tables.contentOf(served()), undefined);
    assert.equal(tables.memberCount, 9);
  });

  it('knows that a set has members that are not its own, or a slot that leads nowhere', () => {
    const contentOf = (slots: readonly number[], count: number, members: readonly number[], affinitySeconds = 60) => {
      const tables = switched(ten);
      tables.record({ kind: 'put-slots', service: 2, generation: 1, first: 0, backends: slots });
      tables.record({ kind: 'put-members', service: 2, generation: 1, backends: members });
      const entry = { id: 2, generation: 1, count, affinitySeconds, inline: [] };
      tables.record({ kind: 'put-service', frontend: WEB, ...entry });
      return tables.contentOf(tables.services.get(frontendId(WEB)) ?? assert.fail())?.length;
    };
    const eight = ten.slice(0, 8);
    assert.equal(contentOf(eight, 8, eight), 8);
    assert.equal(contentOf(ten.slice(0, 9), 8, eight), 8, 'slots beyond the count need not be members');
    assert.equal(contentOf(eight, 8, [...ten.slice(0, 7), 9]), undefined);
    assert.equal(contentOf([...ten.slice(0, 7), 99], 8, [...ten.slice(0, 7), 99]), undefined);
    assert.equal(contentOf(eight, 8, [], 0), 8);
    assert.equal(contentOf(eight, 8, [1], 0), undefined, 'members without affinity');
  });

  it('fills slots before the first that is written with none', () => {
    const tables = switched(ten);
    tables.record({ kind: 'change-slot', service: 2, generation: 1, slot: 2, backend: 3 });
    const entry = { id: 2, generation: 1, count: 9, affinitySeconds: 0, inline: [] };
    tables.record({ kind: 'put-service', frontend: WEB, ...entry });
    assert.deepEqual(tables.services.get(frontendId(WEB))?.slots, [0, 0, 3]);
  });

  it('keeps slots beyond the count only if one of them comes into use', () => {
    const released = (first: number): readonly MapOperation[] => {
      const tables = switched(ten);
      counting(tables, 8);
      const retiring = tables.beginGrace();
      for (const slot of [first, first + 1])
        tables.record({ kind: 'change-slot', service: 1, generation: 1, slot, backend: 1 });
      tables.release(retiring);
      return sweepOf(tables);
    };
    assert.deepEqual(released(6), cleared(8, 9));
    assert.deepEqual(released(7), []);
    assert.deepEqual(released(8), []);
  });

  it('lets a grace period that runs already end for slots that are left where they are', () => {
    const tables = switched(ten);
    counting(tables, 8);
    const retiring = tables.beginGrace();
    counting(tables, 8, 60);
    tables.release(retiring);
    assert.deepEqual(sweepOf(tables), cleared(8, 9));
  });

  it('removes nothing while a later grace period is waited for', () => {
    const tables = switched(ten);
    counting(tables, 9);
    tables.release(tables.beginGrace());
    counting(tables, 8);
    assert.deepEqual(sweepOf(tables), []);
  });

  it('deletes the parts that it is told, and each once', () => {
    const tables = switched([...Array(35).fill(1), 9, 10]);
    counting(tables, 20);
    tables.release(tables.beginGrace());
    assert.deepEqual(sweepOf(tables).at(12), deletion(32, 16));
    const last = { kind: 'delete-slots', service: 1, generation: 1, first: 32, count: 16 } as const;
    tables.record(last);
    tables.record(last);
    assert.deepEqual([tables.partCount, tables.hasGarbage], [2, true]);
    assert.deepEqual([...tables.backends.unreferenced].slice(-2), [9, 10]);
    for (const operation of sweepOf(tables)) tables.record(operation);
    assert.equal(tables.hasGarbage, false);
  });

  it('deletes many slots in operations of at most 2048', () => {
    const tables = switched();
    const all = Array.from({ length: 9_000 }, () => 1);
    tables.record({ kind: 'put-slots', service: 1, generation: 1, first: 0, backends: all });
    counting(tables, 9_000);
    counting(tables, 4_000);
    tables.release(tables.beginGrace());
    const deletions = sweepOf(tables).filter(({ kind }) => kind === 'delete-slots');
    assert.deepEqual(deletions, [deletion(4_000, 2_048), deletion(6_048, 2_048), deletion(8_096, 912)]);
    for (const { change } of planSweep(tables)) assert.equal(change, -1, 'it serves no change of a plan');
  });

  it('has garbage while a set, a backend or a former member waits for its end', () => {
    const tables = switched(ten);
    assert.equal(tables.hasGarbage, false);
    tables.record({ kind: 'change-slot', service: 1, generation: 1, slot: 9, backend: 1 });
    assert.equal(tables.hasGarbage, true, 'a reader may hold backend 10');
    tables.release(tables.beginGrace());
    assert.equal(tables.hasGarbage, true, 'backend 10 is unreferenced');
    tables.record({ kind: 'delete-backend', id: 10 });
    assert.equal(tables.hasGarbage, false);
    counting(tables, 9);
    assert.equal(tables.hasGarbage, true, 'a slot is on its way out');
    tables.release(tables.beginGrace());
    assert.equal(tables.hasGarbage, true, 'a slot can go');
  });

  describe('after a deletion', () => {
    const deleted = (): MapState => {
      const tables = switched(ten);
      tables.record({ kind: 'delete-service', frontend: WEB });
      return tables;
    };

    it('needs a grace period that began later, and no other', () => {
      assert.equal(switched(ten).needsGrace, false);
      const tables = deleted();
      assert.equal(tables.needsGrace, true);
      const first = tables.beginGrace();
      counting(tables, 10);
      tables.record({ kind: 'delete-service', frontend: WEB });
      tables.release(first);
      assert.equal(tables.needsGrace, true);
      tables.release(tables.beginGrace());
      assert.equal(tables.needsGrace, false);
    });

    it('needs the next one when one does not come about, which releases what that would have', () => {
      const tables = deleted();
      tables.resume(tables.beginGrace());
      assert.equal(tables.needsGrace, true);
      tables.release(tables.beginGrace());
      assert.equal(tables.needsGrace, false);
      assert.deepEqual(sweepOf(tables)[0], deletion(0, 16));
      const none = switched(ten);
      none.resume(none.beginGrace());
      assert.equal(none.needsGrace, false);
    });

    it('keeps what came into use again when a grace period does not come about', () => {
      const tables = switched(ten);
      counting(tables, 8);
      const retiring = tables.beginGrace();
      tables.record({ kind: 'change-slot', service: 1, generation: 1, slot: 9, backend: 1 });
      tables.resume(retiring);
      tables.release(tables.beginGrace());
      assert.deepEqual(sweepOf(tables), [{ kind: 'delete-backend', id: 10 }]);
    });
  });

  it('after a reading, lets go what no service points to, and gives the gaps between ids to others', () => {
    const tables = switched();
    tables.record({ kind: 'delete-backend', id: 4 });
    tables.backends.freeIds.clear();
    tables.record({ kind: 'put-slots', service: 1, generation: 1, first: 0, backends: [1] });
    tables.settle();
    assert.deepEqual([...tables.backends.freeIds], [4]);
    assert.deepEqual(sweepOf(tables)[0], deletion(0, 16));
  });
});
