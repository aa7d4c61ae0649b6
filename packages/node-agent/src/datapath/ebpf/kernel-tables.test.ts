import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import { KernelTables } from './kernel-tables.ts';
import type { MapOperation } from './operation.ts';
import { planSweep } from './planner.ts';

const LIMITS = { services: 10, slots: 100, backends: 10, affinity_ok: 10 };
const WEB: Frontend = { kind: 'ClusterIP', address: ip('10.96.0.1'), port: 80, protocol: 'TCP' };

/** Backends 1 to 10 are there, and `WEB` was switched through `sets` to the last of them. */
function switched(...sets: readonly (readonly number[])[]): KernelTables {
  const tables = new KernelTables(LIMITS);
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

const sweepOf = (tables: KernelTables): readonly MapOperation[] =>
  planSweep(tables).flatMap(({ operation }) => (operation.kind === 'grace' ? [] : operation));

describe('KernelTables', () => {
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
  const counting = (tables: KernelTables, count: number, affinitySeconds = 0): void => {
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

  it('keeps slots beyond the count for a grace period that begins after the last time that it shrank', () => {
    const tables = switched(ten);
    counting(tables, 9);
    const first = tables.beginGrace();
    counting(tables, 8);
    tables.release(first);
    assert.deepEqual(sweepOf(tables), []);
    tables.release(tables.beginGrace());
    assert.deepEqual(sweepOf(tables)[0], deletion(8, 2));
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
    assert.deepEqual(sweepOf(tables)[0], deletion(9, 1));
    tables.record({ kind: 'change-slot', service: 1, generation: 1, slot: 9, backend: 2 });
    assert.deepEqual(
      sweepOf(tables).filter(({ kind }) => kind === 'delete-slots'),
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
});
