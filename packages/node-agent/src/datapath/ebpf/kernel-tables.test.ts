import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';
import { KernelTables } from './kernel-tables.ts';
import { planSweep } from './planner.ts';

const LIMITS = { services: 10, slots: 100, backends: 10, affinityOk: 10 };
const WEB: Frontend = { kind: 'ClusterIP', address: ip('10.96.0.1'), port: 80, protocol: 'TCP' };

/** Backends 1 to 8 are there, and `WEB` was switched through `sets` to the last of them. */
function switched(...sets: readonly (readonly number[])[]): KernelTables {
  const tables = new KernelTables(LIMITS);
  for (let id = 1; id <= 8; id += 1) {
    tables.record({ kind: 'put-backend', id, backend: { address: ip(`10.0.0.${id}`), port: 80, clusterId: 1 } });
  }
  for (const [at, ids] of sets.entries()) {
    const generation = at + 1;
    const inline = ids.length <= 7 ? ids : [];
    if (inline.length === 0)
      for (const [slot, backend] of ids.entries())
        tables.record({ kind: 'put-slot', service: 1, generation, slot, backend });
    const entry = { id: 1, generation, count: ids.length, affinitySeconds: 0, inline };
    tables.record({ kind: 'put-service', frontend: WEB, ...entry });
  }
  return tables;
}

describe('KernelTables', () => {
  it('releases a small set once, when a change fails during its grace period', () => {
    const tables = switched([1, 2], [2, 3]);
    const retiring = tables.beginGrace();
    tables.retireStrays();
    tables.release(retiring);
    tables.release(tables.beginGrace());
    assert.deepEqual(
      [1, 2, 3].map((id) => tables.references(id)),
      [0, 1, 1],
    );
    assert.deepEqual(tables.set(1, 2)?.slots, [2, 3]);
  });

  it('releases a large set once, when a change fails during its grace period', () => {
    const tables = switched([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7]);
    const retiring = tables.beginGrace();
    tables.retireStrays();
    tables.release(retiring);
    for (const { operation } of planSweep(tables)) tables.record(operation);
    tables.release(tables.beginGrace());
    assert.equal(tables.hasGarbage, false);
  });
});
