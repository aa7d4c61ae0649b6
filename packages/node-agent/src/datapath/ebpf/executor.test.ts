import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';
import { carryOut, type MapWriter } from './executor.ts';
import { MapState } from './map-state.ts';
import { entryCount, type MapOperation } from './operation.ts';
import { planChanges } from './plan-changes.fixture.ts';

const LIMITS = { services: 10_000, slots: 100_000, backends: 10_000, affinity_ok: 10_000 };
const frontend = (n: number): Frontend => ({
  kind: 'ClusterIP',
  address: ip(`10.96.${n >> 8}.${n & 255}`),
  port: 80,
  protocol: 'TCP',
});
const wish = (n: number, ...backends: readonly number[]) => ({
  frontend: frontend(n),
  backends: backends.map((b) => ({ address: ip(`10.0.0.${b}`), port: 80, clusterId: 1 })),
  sessionAffinitySeconds: 0,
});

/** Too many for the service's own entry. */
const EIGHT = [1, 2, 3, 4, 5, 6, 7, 8];
/** Of slots three parts. */
const FORTY = Array.from({ length: 40 }, (_, n) => n + 100);

const sumOf = (operations: readonly MapOperation[]): number => operations.reduce((sum, op) => sum + entryCount(op), 0);

/** Does as it is told, except for what `refuses` says, of which it does so many entries. */
function recorder(refuses: (operation: MapOperation) => boolean = () => false, doneOfRefused = 0) {
  const calls: string[] = [];
  const writer: MapWriter = {
    write(operations) {
      const at = operations.findIndex(refuses);
      const done = sumOf(at < 0 ? operations : operations.slice(0, at)) + (at < 0 ? 0 : doneOfRefused);
      calls.push(`${operations[0]?.kind} ${done}/${sumOf(operations)}`);
      return { done, error: at < 0 ? undefined : 'it is full' };
    },
    grace: async () => void calls.push('grace'),
  };
  return { calls, writer };
}

describe('carryOut()', () => {
  it('writes each kind as one batch, in the order of the plan', async () => {
    const tables = new MapState(LIMITS);
    const { calls, writer } = recorder();
    const { steps } = planChanges(tables, [wish(1, 1, 2), wish(2, 2, 3)]);
    assert.equal((await carryOut(steps, tables, writer)).size, 0);
    assert.deepEqual(calls, ['put-backend 3/3', 'put-service 2/2']);
    assert.equal(tables.services.size, 2);
  });

  it('goes on past a failed operation; its change never points to a part', async () => {
    const tables = new MapState(LIMITS);
    const { calls, writer } = recorder((op) => op.kind === 'put-slots' && op.service === 1, 2);
    const plan = planChanges(tables, [wish(1, ...FORTY), wish(2, ...FORTY)]);
    const failed = await carryOut(plan.steps, tables, writer);
    assert.deepEqual([...failed], [[0, 'it is full']]);
    assert.deepEqual(calls.slice(1), ['put-slots 2/6', 'put-slots 3/3', 'put-service 1/1']);
    assert.deepEqual(
      [...tables.services.values()].map((served) => served.frontend),
      [frontend(2)],
    );
    assert.deepEqual([tables.partCount, tables.hasGarbage], [5, true]);
  });

  it('fails every change that needs a backend which could not be stored', async () => {
    const tables = new MapState(LIMITS);
    const { writer } = recorder((op) => op.kind === 'put-backend' && op.id === 2);
    const plan = planChanges(tables, [wish(1, 1, 2), wish(2, 2), wish(3, 1)]);
    const failed = await carryOut(plan.steps, tables, writer);
    assert.deepEqual([...failed.keys()], [0, 1]);
    assert.deepEqual(
      [...tables.services.values()].map((served) => served.frontend),
      [frontend(3)],
    );
  });

  it('makes no member of a backend that could not be stored', async () => {
    const tables = new MapState(LIMITS);
    const { calls, writer } = recorder((op) => op.kind === 'put-backend');
    const plan = planChanges(tables, [{ ...wish(1, ...EIGHT), sessionAffinitySeconds: 60 }]);
    assert.deepEqual([...(await carryOut(plan.steps, tables, writer)).keys()], [0]);
    assert.deepEqual(new Set(calls.map((call) => call.split(' ')[0])), new Set(['put-backend']));
  });

  it('waits for a grace period before it adds a service after one was deleted', async () => {
    const tables = new MapState(LIMITS);
    const { calls, writer } = recorder();
    await carryOut(planChanges(tables, [wish(1, 1)]).steps, tables, writer);
    await carryOut(planChanges(tables, [], [frontend(1)]).steps, tables, writer);
    calls.length = 0;
    await carryOut(planChanges(tables, [wish(2, 1)]).steps, tables, writer);
    assert.deepEqual(calls, ['grace', 'put-service 1/1']);
  });

  it('writes a very large set in batches of about 2 ms', async () => {
    const tables = new MapState(LIMITS);
    const { calls, writer } = recorder();
    const backends = Array.from({ length: 5000 }, (_, n) => ({
      address: ip('10.0.0.1'),
      port: n + 1,
      clusterId: 1,
    }));
    await carryOut(planChanges(tables, [{ ...wish(1), backends }]).steps, tables, writer);
    const slots = calls.filter((call) => call.startsWith('put-slots'));
    assert.deepEqual(slots, ['put-slots 313/313']);
  });

  it('gives the event loop its turn during long work', async () => {
    const tables = new MapState(LIMITS);
    const { writer } = recorder();
    const { steps } = planChanges(
      tables,
      Array.from({ length: 5000 }, (_, n) => wish(n, 1, 2)),
    );
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await carryOut(steps, tables, writer);
    isDone = true;
    assert.ok(turns >= 2, `${turns} turns`);
  });
});
