import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import { sampleRemote, sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { FakeClock } from '@tombolo/shared/process/clock.fixture.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import { type Logger, silentLogger } from '@tombolo/shared/process/logger.ts';
import { readStateFile, StateFile } from './state-file.ts';
import { ServiceTable } from './table/service-table.ts';

const EAST = { name: 'east' as ClusterName, id: 1 };
const WEST = { name: 'west' as ClusterName, id: 2 };
const AUTHOR = { cluster: EAST, node: 'node-1' };
const CART = serviceKey('shop', 'cart');

describe('StateFile', () => {
  let directory: string;
  let path: string;
  let table: ServiceTable;
  let warnings: unknown[];
  let health: Health;
  const report = (state: Health): void => {
    health = state;
  };
  const log: Logger = { ...silentLogger, warn: (fields) => void warnings.push(fields) };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tbl-state-'));
    path = join(directory, 'run', 'agent.state');
    warnings = [];
    const limits = { remotePerFrontend: 100, remotePerCluster: 100 };
    table = new ServiceTable({ local: EAST, node: 'node-1', scope: 'global', defaultGlobalNamespace: true, ...limits });
    table.local.setNamespace('shop', { name: 'shop', global: undefined, labels: {} });
    table.local.setService(CART, sampleService(CART));
    table.setRemoteServices(WEST, new Map([[CART, sampleRemote(['10.2.0.1'])]]));
    table.open();
    table.settle();
  });
  afterEach(() => rm(directory, { recursive: true }));

  /** What is there at the end of a run. */
  async function write(where = path): Promise<void> {
    const facts = { clusterIds: new Map([[WEST.name, WEST.id]]), onChange: () => () => {} };
    const file = new StateFile({ path: where, author: AUTHOR, table, facts, log, report });
    await file.run(AbortSignal.abort());
    const stop = new AbortController();
    const running = file.run(stop.signal);
    stop.abort();
    await running;
  }

  it('is read by the next agent, and by its owner only', async () => {
    await write();
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(join(directory, 'run')), ['agent.state']);
    const state = await readStateFile(path, AUTHOR, log);
    assert.deepEqual([...(state?.clusters ?? [])], [['west', 2]]);
    const [remote] = state?.services.get(CART)?.remotes ?? [];
    assert.deepEqual([...(remote?.used ?? [])], ['10.2.0.1']);
    assert.deepEqual(warnings, []);
  });

  it('is of no use on another node, and says nothing when it is not there', async () => {
    assert.equal(await readStateFile(path, AUTHOR, log), undefined);
    await write();
    assert.equal(await readStateFile(path, { ...AUTHOR, node: 'node-2' }, log), undefined);
    assert.deepEqual(warnings, []);
  });

  it('says once that it cannot be written, and harms nothing', async () => {
    await writeFile(join(directory, 'file'), '');
    await write(join(directory, 'file', 'agent.state'));
    assert.equal(warnings.length, 1);
    assert.match(health.kind === 'degraded' ? health.reason : '', /agent\.state.*EEXIST|agent\.state.*ENOTDIR/);
    await write();
    assert.deepEqual(health, { kind: 'ok' });
  });

  it('is written when an id changed, whatever the table does', async () => {
    const clock = new FakeClock();
    const [stop, listeners] = [new AbortController(), new Set<() => void>()];
    const facts = {
      clusterIds: new Map([[WEST.name, WEST.id]]),
      onChange: (listener: () => void) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    const running = new StateFile({ path, author: AUTHOR, table, facts, log, report, clock }).run(stop.signal);
    for (const listener of listeners) listener();
    await clock.advance(0);
    assert.equal(clock.waiting, 0, 'nothing to write');
    facts.clusterIds = new Map([[WEST.name, 7]]);
    for (const listener of listeners) listener();
    await clock.advance(0);
    assert.equal(clock.waiting, 1, 'about to write');
    stop.abort();
    await running;
    assert.deepEqual([...((await readStateFile(path, AUTHOR, log))?.clusters ?? [])], [['west', 7]]);
    assert.equal(listeners.size, 0);
  });

  it('has at the end what changed while it was written', async () => {
    const [stop, clock] = [new AbortController(), new FakeClock()];
    const facts = { clusterIds: new Map([[WEST.name, WEST.id]]), onChange: () => () => {} };
    const change = (): void => {
      if (stop.signal.aborted) return;
      stop.abort();
      table.setRemoteServices(WEST, new Map([[CART, sampleRemote(['10.2.0.2'])]]));
      table.settle();
    };
    const watched = {
      onChange: (listener: () => void) => table.onChange(listener),
      get services() {
        queueMicrotask(change);
        return table.services;
      },
      get routes() {
        return table.routes;
      },
    };
    const running = new StateFile({ path, author: AUTHOR, table: watched, facts, log, report, clock }).run(stop.signal);
    table.setRemoteServices(WEST, new Map());
    table.local.setService(CART, sampleService(CART, { uid: 'another' }));
    table.settle();
    await clock.advance(15_000);
    await running;
    const [remote] = (await readStateFile(path, AUTHOR, log))?.services.get(CART)?.remotes ?? [];
    assert.deepEqual(
      remote?.service.backends.map(({ address }) => address),
      ['10.2.0.2'],
    );
  });

  it('leaves out what no other cluster has', async () => {
    table.setRemoteServices(WEST, new Map([[CART, undefined]]));
    table.settle();
    await write();
    assert.equal((await readFile(path, 'utf8')).split('\n').length, 1);
  });
});
