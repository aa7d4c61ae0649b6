import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import { type ServiceKey, serviceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceEntry } from '@tombolo/shared/model/service-table.ts';
import type { Backoff } from '@tombolo/shared/process/backoff.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { ChangeLog } from '../table/change-log.ts';
import { MemoryDatapath } from './memory.fixture.ts';
import { Reconciler } from './reconciler.ts';

const A = serviceKey('shop', 'a');
const B = serviceKey('shop', 'b');

/** An entry with one frontend and no backends. */
function entry(key: ServiceKey, address: string): ServiceEntry {
  const port = { name: '', protocol: 'TCP' as const, port: 80, nodePort: 0 };
  const frontend = { kind: 'ClusterIP' as const, address: ip(address), port: 80, protocol: 'TCP' as const };
  const service = sampleService(key);
  return {
    key,
    service,
    programmed: true,
    affinity: 'none',
    groups: [{ port, family: 4, frontends: [frontend], decisions: [] }],
    unmatched: [],
  };
}

const FRONTEND_A = { kind: 'ClusterIP' as const, address: ip('10.96.0.1'), port: 80, protocol: 'TCP' as const };

const SOON: Backoff = { delay: 1, next: () => SOON };

/** A reconciler over a change log and a memory datapath, stopped after the test body. */
async function withReconciler(
  body: (parts: {
    table: ChangeLog;
    datapath: MemoryDatapath;
    health: () => Health | undefined;
    reached: (revision: number) => Promise<void>;
    failed: () => Promise<void>;
    works: () => Promise<void>;
  }) => Promise<void>,
  prepare: (parts: { table: ChangeLog; datapath: MemoryDatapath }) => void = () => {},
): Promise<void> {
  const table = new ChangeLog();
  const datapath = new MemoryDatapath();
  prepare({ table, datapath });
  let health: Health | undefined;
  let applied = -1;
  let waiting: (() => void)[] = [];
  const tell = (): void => {
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const reconciler = new Reconciler({
    table,
    datapath,
    log: silentLogger,
    retry: SOON,
    report: (reported) => {
      health = reported;
      tell();
    },
    applied: (revision) => {
      applied = revision;
      tell();
    },
  });
  const stop = new AbortController();
  const running = reconciler.run(stop.signal);
  try {
    const tested = body({
      table,
      datapath,
      health: () => health,
      reached: (revision) => until(() => applied >= revision),
      failed: () => until(() => health?.kind === 'degraded'),
      works: () => until(() => health?.kind === 'ok'),
    });
    await Promise.race([tested, running.then(() => assert.fail('the reconciler ended by itself'))]);
  } finally {
    stop.abort();
    await running;
  }
}

describe('Reconciler', () => {
  it('sets the whole table first and applies changes after', () =>
    withReconciler(
      async ({ table, datapath, reached, health }) => {
        await reached(1);
        table.publish(new Map([[B, entry(B, '10.96.0.2')]]));
        await reached(2);
        table.publish(new Map([[A, undefined]]));
        await reached(3);
        assert.deepEqual(datapath.calls, ['replace', 'apply', 'apply']);
        assert.deepEqual(
          [...datapath.kernel.routes.values()].map(({ frontend }) => frontend.address),
          ['10.96.0.2'],
        );
        assert.deepEqual(health(), { kind: 'ok' });
      },
      ({ table }) => table.publish(new Map([[A, entry(A, '10.96.0.1')]])),
    ));

  it('reports a frontend that fails, goes on with the others, and repairs it later', () =>
    withReconciler(
      async ({ table, datapath, failed, reached, works }) => {
        await failed();
        table.publish(new Map([[B, entry(B, '10.96.0.2')]]));
        await reached(2);
        datapath.heal(FRONTEND_A);
        await works();
        assert.equal(datapath.kernel.routes.size, 2);
      },
      ({ table, datapath }) => {
        datapath.fail(FRONTEND_A, 'map is full');
        table.publish(new Map([[A, entry(A, '10.96.0.1')]]));
      },
    ));

  it('says who claims a frontend that somebody else has', () =>
    withReconciler(async ({ table, health, failed }) => {
      table.publish(new Map([A, B].map((key) => [key, entry(key, '10.96.0.1')])));
      await failed();
      const reason = '10.96.0.1:80/TCP is claimed by shop/a and shop/b: shop/a has it';
      assert.deepEqual(health(), { kind: 'degraded', reason });
    }));

  it('stops while it waits, and leaves the kernel as it is', async () => {
    let kernel = 0;
    await withReconciler(
      async ({ datapath, reached }) => {
        await reached(1);
        kernel = datapath.kernel.routes.size;
      },
      ({ table }) => table.publish(new Map([[A, entry(A, '10.96.0.1')]])),
    );
    assert.equal(kernel, 1);
  });
});
