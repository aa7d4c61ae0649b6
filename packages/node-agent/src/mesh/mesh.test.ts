/** The room as a whole: real files, etcds in memory, a clock that the test moves. */
import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { LogFields, Logger } from '@tombolo/shared/process/logger.ts';
import { FakeEtcd } from './fake-etcd.fixture.ts';
import { Recorder, settle, TestClock, Writer } from './mesh.fixture.ts';
import { type Mesh, startMesh } from './mesh.ts';

const local: ClusterIdentity = { name: 'east' as ClusterName, id: 1 };
const name = (text: string) => text as ClusterName;

class ErrorLog implements Logger {
  readonly errors: LogFields[] = [];
  debug(): void {}
  info(): void {}
  warn(): void {}
  error(fields: LogFields): void {
    this.errors.push(fields);
  }
  child(): Logger {
    return this;
  }
}

describe('startMesh()', () => {
  let directory = '';
  let clock: TestClock;
  let told: Recorder;
  let log: ErrorLog;
  let etcds: Map<string, FakeEtcd>;
  let mesh: Mesh;
  let health: Health;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tbl-mesh-'));
    clock = new TestClock();
    told = new Recorder();
    log = new ErrorLog();
    etcds = new Map();
    health = { kind: 'starting' };
  });
  afterEach(async () => {
    await mesh.close();
    await rm(directory, { recursive: true, force: true });
    assert.equal(clock.waiting, 0, 'nobody waits for time after close');
    for (const etcd of etcds.values()) assert.deepEqual([etcd.open, etcd.followed], [0, []], 'no session is left');
  });

  function start(remembered?: ReadonlyMap<ClusterName, number>): void {
    mesh = startMesh({
      directory,
      local,
      maxClusters: 255,
      listener: told,
      ...(remembered && { remembered }),
      log,
      clock,
      report: (state) => {
        health = state;
      },
      connect: ({ endpoints }) => {
        const etcd = etcds.get(endpoints[0] ?? '');
        if (etcd === undefined) throw new Error(`Cannot use etcd settings: no such endpoint ${endpoints[0]}`);
        return etcd.reader();
      },
    });
  }

  async function cluster(cluster: string, id: number): Promise<Writer<FakeEtcd>> {
    const etcd = new FakeEtcd(cluster);
    etcds.set(`http://${cluster}`, etcd);
    const writer = new Writer(etcd, cluster, id);
    await writer.everything({ 'a/x': [`10.${id}.0.1`] });
    return writer;
  }

  /** Puts a file in place at once, as a Secret mount does. */
  async function file(file: string, content = `endpoints: [http://${file}]`): Promise<void> {
    await writeFile(join(directory, `.${file}`), content);
    await rename(join(directory, `.${file}`), join(directory, file));
  }

  async function until(what: string, holds: () => boolean): Promise<void> {
    for (const deadline = Date.now() + 5_000; !holds(); ) {
      assert.ok(Date.now() < deadline, `waited in vain: ${what}`);
      await clock.advance(1_000);
    }
    await settle();
  }

  const heard = (cluster: string) => told.statuses?.get(name(cluster))?.control === 'heard';

  it('knows no clusters, not even none, until the directory was read', async () => {
    const path = join(directory, 'mount');
    const parent = directory;
    directory = path;
    start();
    await until('the problem is named', () => health.kind === 'degraded');
    assert.deepEqual(health, { kind: 'degraded', reason: `Cannot read clustermesh directory ${path}: ENOENT` });
    assert.equal(told.statuses, undefined);
    await mesh.close();
    directory = parent;
  });

  it('joins clusters whose files appear, and withdraws them when their files go', async () => {
    await cluster('west', 2);
    await cluster('north', 3);
    await file('west');
    start();
    await until('west is heard', () => heard('west'));
    await file('north');
    await until('north is heard', () => heard('north'));
    assert.deepEqual(told.statuses && new Set(told.statuses.keys()), new Set(['west', 'north']));
    assert.deepEqual(told.backends, ['north a/x 10.3.0.1:8080', 'west a/x 10.2.0.1:8080']);
    await rm(join(directory, 'west'));
    await until('west is removed', () => !told.statuses?.has(name('west')));
    assert.deepEqual(told.backends, ['north a/x 10.3.0.1:8080']);
    assert.ok(told.take().includes('west/2 is removed'));
  });

  it('goes on with the others when a file is bad, and takes the file when it was mended', async () => {
    await cluster('west', 2);
    await cluster('north', 3);
    await file('west', 'endpoints: {');
    await file('north');
    await file('South_1', 'endpoints: [http://south]');
    await file('east', 'endpoints: [http://nowhere]');
    start();
    await until('north is heard', () => heard('north'));
    const west = told.statuses?.get(name('west'));
    assert.equal(west?.control, 'failed');
    assert.match(west?.lastError ?? '', /Cannot use clustermesh file .*west: expected valid YAML/);
    assert.deepEqual([...(told.statuses?.keys() ?? [])].sort(), ['north', 'west']);
    assert.deepEqual(
      log.errors
        .map(({ file: ignored, cluster: bad }) => ignored ?? bad)
        .filter(Boolean)
        .sort(),
      ['South_1', 'west'],
    );
    await file('west');
    await until('west is heard', () => heard('west'));
    assert.equal(told.statuses?.get(name('west'))?.lastError, '');
  });

  it('moves a session to the endpoint of a changed file without a withdrawal', async () => {
    await cluster('west', 2);
    await file('west');
    start();
    await until('west is heard', () => heard('west'));
    const moved = await cluster('west', 2);
    etcds.set('http://west-2', moved.etcd);
    await moved.service('a/y', ['10.2.0.2']);
    await file('west', 'endpoints: [http://west-2]');
    await until('the new etcd is read', () => told.backends.length === 2);
    assert.ok(!told.take().some((line) => line.startsWith('-') || line.endsWith('removed')));
  });

  it('can be closed and started again in one process', async () => {
    await cluster('west', 2);
    await file('west');
    for (let i = 0; i < 2; i++) {
      start();
      await until('west is heard', () => heard('west'));
      await mesh.close();
      assert.equal(told.backends.length, 1, 'closing withdraws nothing');
      told = new Recorder();
    }
  });

  it('tells states at once, and counts only now and then', async () => {
    const west = await cluster('west', 2);
    await file('west');
    start();
    await until('west is heard', () => heard('west'));
    let count = 0;
    const changed = told.statusChanged.bind(told);
    told.statusChanged = (statuses) => {
      count++;
      changed(statuses);
    };
    for (let i = 0; i < 100; i++) {
      await west.service(`a/s${i}`, ['10.2.0.9']);
      await clock.advance(20);
    }
    assert.ok(count >= 2 && count <= 6, `${count} statuses in 2 s`);
    await clock.advance(1_000);
    assert.equal(told.statuses?.get(name('west'))?.services, 101);
    await west.unsynced();
    await settle();
    assert.equal(told.statuses?.get(name('west'))?.control, 'syncing', 'at once');
  });

  it('keeps remembered ids for the clusters in the directory, and frees those of others', async () => {
    const west = new FakeEtcd('west');
    etcds.set('http://west', west);
    await cluster('north', 2);
    await cluster('south', 3);
    for (const each of ['west', 'north', 'south']) await file(each);
    start(
      new Map([
        [name('west'), 2],
        [name('gone'), 3],
      ]),
    );
    await until('south is heard', () => heard('south'));
    await until('north is refused', () => told.statuses?.get(name('north'))?.control === 'failed');
    assert.deepEqual([...(told.statuses?.values() ?? [])].map(({ id }) => id).sort(), [2, 3, undefined]);
    assert.deepEqual(told.statuses?.get(name('west'))?.warnings, [
      'Cluster "north" claims cluster id 2, too, and is refused',
    ]);
    assert.deepEqual(told.backends, ['south a/x 10.3.0.1:8080']);
    await cluster('late', 3);
    await file('late');
    await until('late is refused', () => told.statuses?.get(name('late'))?.control === 'failed');
    assert.deepEqual(told.statuses?.get(name('south'))?.warnings, [
      'Cluster "late" claims cluster id 3, too, and is refused',
    ]);
    await rm(join(directory, 'west'));
    await until('north is heard', () => heard('north'));
    assert.ok(told.take().includes('west/2 is removed'), 'what a cluster of this id left behind is withdrawn');
  });
});
