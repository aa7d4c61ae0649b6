import assert from 'node:assert/strict';
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ClusterStatus } from '@tombolo/shared/model/service-table.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import { type Logger, silentLogger } from '@tombolo/shared/process/logger.ts';
import { HEARTBEAT_KEY } from '@tombolo/shared/wire/keys.ts';
import { ClusterIds } from './cluster-ids.ts';
import { FairWork } from './fair-work.ts';
import { FakeEtcd } from './fake-etcd.fixture.ts';
import { Recorder, settle, TestClock, Writer } from './mesh.fixture.ts';
import { Peer } from './peer.ts';

const local: ClusterIdentity = { name: 'east' as ClusterName, id: 1 };
const CONFIG = { endpoints: ['http://etcd.west:2379'] };
const MINUTE = 60_000;

/** A mesh in which every cluster has an etcd in memory. */
class World {
  readonly clock = new TestClock();
  readonly told = new Recorder();
  ids = new ClusterIds(local, 255);
  readonly work = new FairWork({ budgetMs: Number.POSITIVE_INFINITY });
  readonly remotes: Peer[] = [];
  readonly warned: string[] = [];
  readonly states: string[] = [];
  touches = 0;
  readonly log: Logger = {
    ...silentLogger,
    info: (fields, message) => {
      if (message === 'Control plane changed') this.states.push(`${fields['control']}`);
    },
    warn: (fields) => void this.warned.push(`${fields['reason'] ?? fields['more']}`),
  };

  /** As at the agent's start, with what the one before had written down. */
  remember(ids: Readonly<Record<string, number>>): void {
    const remembered = new Map(Object.entries(ids).map(([name, id]) => [name as ClusterName, id]));
    this.ids = new ClusterIds(local, 255, remembered, () => {});
  }

  join(name: string, id: number, options: ConstructorParameters<typeof Writer>[3] = {}) {
    const etcd = new FakeEtcd(name);
    const reports: ((health: Health) => void)[] = [];
    const writer = new Writer(etcd, name, id, options);
    const remote = new Peer({
      name: name as ClusterName,
      localId: local.id,
      maxClusters: 255,
      ids: this.ids,
      work: this.work,
      listener: this.told,
      touched: () => {
        this.touches++;
      },
      log: this.log,
      clock: this.clock,
      silentAfterMs: 2 * MINUTE,
      connect: (_config, { report }) => {
        reports.push(report);
        return etcd.reader();
      },
    });
    this.remotes.push(remote);
    const status = (): ClusterStatus => remote.facts.status;
    return { etcd, writer, remote, reports, status };
  }

  async end(): Promise<void> {
    await Promise.all(this.remotes.map((remote) => remote.close()));
    assert.equal(this.clock.waiting, 0, 'nobody waits for time after close');
  }
}

describe('Peer', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.end());

  /** West, heard and complete, with two Services. */
  async function heardWest() {
    const west = world.join('west', 2);
    await west.writer.everything({ 'a/x': ['10.2.0.1'], 'a/y': ['10.2.0.2'] });
    west.remote.setConfig(CONFIG);
    await settle();
    assert.deepEqual(world.told.take(), ['+ west a/x', '+ west a/y', 'west/2 is synced']);
    return west;
  }

  for (const layout of ['state', 'cache'] as const) {
    it(`lists, then follows, in the ${layout} layout`, async () => {
      const { writer, remote, status } = world.join('west', 2, { layout });
      await writer.everything({ 'a/x': ['10.2.0.1', '10.2.0.2'] });
      await writer.node('n1');
      remote.setConfig(CONFIG);
      await settle();
      await writer.service('a/y', ['10.2.0.3']);
      await writer.withdraw('a/x');
      await settle();
      assert.deepEqual(world.told.take(), ['+ west a/x', 'west/2 is synced', '+ west a/y', '- west a/x']);
      const { local, control, services, backends, nodes, id, endpoints, lastError } = status();
      assert.deepEqual(
        { local, control, services, backends, nodes, id, endpoints, lastError },
        {
          local: false,
          control: 'heard',
          services: 1,
          backends: 1,
          nodes: 1,
          id: 2,
          endpoints: CONFIG.endpoints,
          lastError: '',
        },
      );
    });
  }

  it('says nothing about Services before the canary is there', async () => {
    const { writer, remote, status } = world.join('west', 2);
    await writer.config();
    await writer.service('a/x', ['10.2.0.1']);
    remote.setConfig(CONFIG);
    await settle();
    assert.deepEqual(world.told.take(), []);
    assert.equal(status().control, 'syncing');
    await writer.synced();
    await settle();
    assert.deepEqual(world.told.take(), ['+ west a/x', 'west/2 is synced']);
    assert.equal(status().control, 'heard');
  });

  it('lists at once where there are no canaries', async () => {
    const { writer, remote } = world.join('west', 2, { canaries: false });
    await writer.config();
    await writer.service('a/x', ['10.2.0.1']);
    remote.setConfig(CONFIG);
    await settle();
    await writer.withdraw('a/x');
    await settle();
    assert.deepEqual(world.told.take(), ['+ west a/x', 'west/2 is synced', '- west a/x']);
  });

  it('quarantines a bad entry, keeps its previous value, and goes on with its neighbours', async () => {
    const { etcd, writer, status } = await heardWest();
    etcd.put(writer.serviceKey('a/x'), '{"cluster":"west"');
    await writer.service('a/y', ['10.2.0.9'], 3);
    etcd.put(writer.serviceKey('a/z/z'), '{}');
    await writer.service('a/w', ['10.2.0.4']);
    await settle();
    assert.deepEqual(world.told.take(), ['+ west a/w']);
    assert.deepEqual(world.told.backends, [
      'west a/w 10.2.0.4:8080',
      'west a/x 10.2.0.1:8080',
      'west a/y 10.2.0.2:8080',
    ]);
    const reasons = new Map(status().quarantined.map(({ key, reason }) => [key, reason]));
    assert.deepEqual(
      [...reasons.keys()],
      ['a/x', 'a/y', 'a/z/z'].map((key) => writer.serviceKey(key)),
    );
    assert.equal(
      reasons.get(writer.serviceKey('a/y')),
      'Cannot decode service "a/y" from cluster "west": clusterID must be 2, as the cluster announced: current value is 3',
    );
    await writer.service('a/x', ['10.2.0.5']);
    await writer.withdraw('a/y');
    await writer.withdraw('a/z/z');
    await settle();
    assert.deepEqual(world.told.take(), ['+ west a/x', '- west a/y', '- west a/z/z']);
    assert.deepEqual(status().quarantined, []);
  });

  it("keeps a bad entry's previous value over a new listing", async () => {
    const { etcd, writer } = await heardWest();
    etcd.put(writer.serviceKey('a/x'), 'junk');
    etcd.breakSessions('broken');
    await world.clock.advance(2_000);
    assert.deepEqual(world.told.backends, ['west a/x 10.2.0.1:8080', 'west a/y 10.2.0.2:8080']);
  });

  it('withdraws nothing when a session ends, and replaces by the next complete listing', async () => {
    const { etcd, writer, status } = await heardWest();
    etcd.breakSessions('Cannot go on with etcd: its cluster id changed');
    await settle();
    assert.equal(status().control, 'failed');
    assert.match(status().lastError, /cluster id changed/);
    await writer.withdraw('a/x');
    await writer.service('a/z', ['10.2.0.3']);
    assert.deepEqual(world.told.take(), []);
    await world.clock.advance(2_000);
    assert.deepEqual(world.told.take(), ['+ west a/z', '- west a/x']);
    assert.equal(status().control, 'heard');
    assert.equal(status().failures, 1);
    assert.equal(status().lastError, '');
  });

  it('falls silent after two intervals without a heartbeat, and is heard again by a new one only', async () => {
    const { writer, status } = await heardWest();
    await world.clock.advance(2 * MINUTE - 1);
    assert.equal(status().control, 'heard');
    await writer.heartbeat();
    await world.clock.advance(2 * MINUTE - 1);
    assert.deepEqual(world.told.take(), []);
    await world.clock.advance(1);
    assert.deepEqual(world.told.take(), ['west/2 is stale']);
    assert.equal(status().control, 'silent');
    // Sessions begin anew meanwhile, and list the old heartbeat again.
    await world.clock.advance(10 * MINUTE);
    assert.equal(status().control, 'silent');
    assert.match(status().lastError, /Cannot hear cluster "west": no heartbeat for 120 s/);
    assert.deepEqual(world.told.take(), []);
    await writer.heartbeat();
    await settle();
    assert.deepEqual(world.told.take(), ['west/2 is synced']);
    assert.equal(status().control, 'heard');
    assert.equal(status().lastError, '');
  });

  it('logs each change of what is known of the control plane, and nothing else', async () => {
    const { writer } = await heardWest();
    await writer.service('a/z', ['10.2.0.3']);
    await world.clock.advance(2 * MINUTE);
    await world.clock.advance(MINUTE);
    await writer.heartbeat();
    await settle();
    assert.deepEqual(world.states, ['syncing', 'heard', 'silent', 'heard']);
  });

  it('takes no other key for its heartbeat', async () => {
    const { etcd, status } = await heardWest();
    await world.clock.advance(MINUTE);
    etcd.put(`${HEARTBEAT_KEY}-of-another`, 'beat');
    await world.clock.advance(MINUTE);
    assert.equal(status().control, 'silent');
  });

  it('lets withdrawals that it heard of while silent take effect with the next heartbeat', async () => {
    const { writer } = await heardWest();
    await world.clock.advance(3 * MINUTE);
    await writer.withdraw('a/x');
    await world.clock.advance(MINUTE);
    assert.deepEqual(world.told.take(), ['west/2 is stale']);
    await writer.heartbeat();
    await settle();
    assert.deepEqual(world.told.take(), ['west/2 is synced', '- west a/x']);
  });

  it('falls silent by its last heartbeat, whenever the session began', async () => {
    const { etcd } = await heardWest();
    await world.clock.advance(1.5 * MINUTE);
    etcd.breakSessions('broken');
    await world.clock.advance(0.5 * MINUTE - 1);
    assert.deepEqual(world.told.take(), []);
    await world.clock.advance(1);
    assert.deepEqual(world.told.take(), ['west/2 is stale']);
  });

  it('hears nothing from readers of earlier sessions', async () => {
    const { remote, reports, status } = await heardWest();
    remote.setConfig(CONFIG);
    await settle();
    reports[0]?.({ kind: 'degraded', reason: 'the old one is broken' });
    assert.equal(status().control, 'heard');
    reports[1]?.({ kind: 'degraded', reason: 'this one is broken' });
    assert.deepEqual([status().control, status().lastError], ['silent', 'this one is broken']);
  });

  it('withdraws nothing while it is silent: leases run out after their writer died', async () => {
    const { writer } = await heardWest();
    await world.clock.advance(3 * MINUTE);
    await writer.withdraw('a/x');
    await writer.unsynced();
    await world.clock.advance(10 * MINUTE);
    assert.equal(world.told.backends.length, 2);
    // The writer is back, and fills in: nothing is withdrawn before its canary.
    await writer.heartbeat();
    await writer.service('a/y', ['10.2.0.2']);
    await world.clock.advance(1_000);
    assert.equal(world.told.backends.length, 2);
    await writer.synced();
    await world.clock.advance(MINUTE);
    assert.deepEqual(world.told.backends, ['west a/y 10.2.0.2:8080']);
  });

  for (const order of ['first-to-last', 'last-to-first'] as const) {
    it(`withdraws nothing when etcd lost its data, until the canary is back (watches ${order})`, async () => {
      const { etcd, writer } = await heardWest();
      etcd.down();
      etcd.wipe();
      etcd.up(order);
      await world.clock.advance(10_000);
      assert.equal(world.told.backends.length, 2);
      await writer.config();
      await writer.heartbeat();
      await writer.service('a/y', ['10.2.0.2']);
      await world.clock.advance(10_000);
      assert.equal(world.told.backends.length, 2);
      await writer.synced();
      await settle();
      assert.deepEqual(world.told.backends, ['west a/y 10.2.0.2:8080']);
      assert.ok(!world.told.take().includes('- west a/y'), 'what is still there was never withdrawn');
    });
  }

  it('keeps trying an etcd that cannot be reached, and says why', async () => {
    const { etcd, writer, remote, status } = world.join('west', 2);
    etcd.down();
    remote.setConfig(CONFIG);
    await world.clock.advance(10 * MINUTE);
    assert.equal(status().control, 'failed');
    assert.equal(status().lastError, 'Cannot reach etcd: connection refused');
    assert.ok(etcd.opened < 60, `backs off: ${etcd.opened} sessions`);
    assert.deepEqual(world.warned, ['Cannot reach etcd: connection refused'], 'said once');
    etcd.up();
    await writer.everything({ 'a/x': ['10.2.0.1'] });
    await world.clock.advance(MINUTE);
    assert.deepEqual(world.told.take(), ['+ west a/x', 'west/2 is synced']);
  });

  it('starts the backoff again only after a session held', async () => {
    const { etcd, writer } = await heardWest();
    for (let i = 0; i < 6; i++) {
      etcd.breakSessions('flapping');
      await world.clock.advance(MINUTE / 2);
      await writer.heartbeat();
    }
    const before = etcd.opened;
    await world.clock.advance(MINUTE);
    etcd.breakSessions('once');
    await world.clock.advance(2_000);
    assert.equal(etcd.opened, before + 1);
  });

  const refusals: readonly [string, (west: Awaited<ReturnType<World['join']>>) => Promise<void>, RegExp][] = [
    [
      'absent',
      async () => {},
      /Cannot read the configuration of cluster "west": expected key cilium\/cluster-config\/west: it is absent/,
    ],
    ['the local id', ({ writer }) => writer.config(1), /cluster id 1 is that of the local cluster "east"/],
    ['id 0', ({ writer }) => writer.config(0), /id must be 1-255: current value is 0/],
    ['junk', async ({ etcd }) => etcd.put('cilium/cluster-config/west', 'junk'), /value must be valid JSON/],
  ];
  for (const [title, write, reason] of refusals) {
    it(`refuses a cluster whose configuration is ${title}, until it is right`, async () => {
      const west = world.join('west', 2);
      await write(west);
      west.remote.setConfig(CONFIG);
      await settle();
      assert.equal(west.status().control, 'failed');
      assert.match(west.status().lastError, reason);
      assert.deepEqual(world.told.take(), []);
      await west.writer.everything({ 'a/x': ['10.2.0.1'] });
      await world.clock.advance(2_000);
      assert.equal(west.status().control, 'heard');
    });
  }

  it('lets the holder keep its id, tells both, and gives it to the other when the holder is removed', async () => {
    const west = await heardWest();
    const north = world.join('north', 2);
    await north.writer.everything({ 'a/x': ['10.3.0.1'] });
    north.remote.setConfig(CONFIG);
    await settle();
    const refusal = 'Cannot use cluster "north": cluster id 2 is already used by cluster "west"';
    assert.equal(north.status().lastError, refusal);
    west.remote.facts.touch('state');
    assert.deepEqual(west.status().warnings, ['Cluster "north" claims cluster id 2, too, and is refused']);
    assert.deepEqual(world.told.take(), []);
    await west.remote.remove();
    assert.deepEqual(world.told.take(), ['west/2 is removed']);
    await world.clock.advance(MINUTE);
    assert.deepEqual(world.told.take(), ['+ north a/x', 'north/2 is synced']);
  });

  it('keeps ids over restarts: who claims the id of one that is silent is refused', async () => {
    world.remember({ west: 2 });
    const west = world.join('west', 2);
    west.remote.setConfig(CONFIG);
    const north = world.join('north', 2);
    await north.writer.everything({ 'a/x': ['10.3.0.1'] });
    north.remote.setConfig(CONFIG);
    await world.clock.advance(MINUTE);
    assert.match(north.status().lastError, /cluster id 2 is already used by cluster "west"/);
    assert.deepEqual([west.status().id, north.status().id], [2, undefined]);
    assert.deepEqual(world.told.take(), []);
    await west.writer.everything({ 'a/x': ['10.2.0.1'] });
    await world.clock.advance(MINUTE);
    assert.deepEqual(world.told.take(), ['+ west a/x', 'west/2 is synced']);
  });

  it('withdraws what was said under a remembered id when another is accepted', async () => {
    world.remember({ west: 2 });
    const west = world.join('west', 3);
    await west.writer.everything({ 'a/x': ['10.2.0.1'] });
    west.remote.setConfig(CONFIG);
    await settle();
    assert.deepEqual(world.told.take(), ['west/2 is removed', '+ west a/x', 'west/3 is synced']);
  });

  for (const [title, configure, reason] of [
    ['an id that is ours', (writer) => writer.config(1), /cluster id 1 is that of the local cluster "east"/],
    ['id 300', (writer) => writer.config(300), /id must be 1-255: current value is 300/],
    [
      'EndpointSlices only',
      (writer) => writer.config(2, { endpointSlicesExportMode: 'endpointslices-only' }),
      /Cannot use cluster "west": it exports its backends as EndpointSlices only, which is not supported yet/,
    ],
  ] satisfies readonly (readonly [string, (writer: Writer<FakeEtcd>) => Promise<void>, RegExp])[]) {
    it(`keeps what it knows, and calls it stale, when a cluster announces ${title} during a session`, async () => {
      const west = await heardWest();
      await configure(west.writer);
      await west.writer.heartbeat();
      await world.clock.advance(2_000);
      assert.match(west.status().lastError, reason);
      assert.equal(west.status().id, 2);
      assert.deepEqual(world.told.take(), []);
      for (let i = 0; i < 10; i++) {
        await west.writer.heartbeat();
        await world.clock.advance(MINUTE);
      }
      assert.deepEqual(world.told.take(), ['west/2 is stale']);
      assert.equal(world.warned.filter((line) => reason.test(line)).length, 1, 'logged once');
      await west.writer.config();
      await world.clock.advance(MINUTE);
      assert.deepEqual(world.told.take(), ['west/2 is synced']);
    });
  }

  it('is stale when entries and canary vanished under a living heartbeat, until both are back', async () => {
    const { writer, status } = await heardWest();
    await writer.unsynced();
    await writer.withdraw('a/x');
    await writer.withdraw('a/y');
    const since = new Date(world.clock.wallTime()).toISOString();
    await world.clock.advance(4_000);
    assert.deepEqual(world.told.take(), []);
    for (let hour = 0; hour < 24; hour++) {
      await writer.heartbeat();
      await world.clock.advance(MINUTE);
    }
    assert.deepEqual(world.told.take(), ['west/2 is stale']);
    assert.equal(world.told.backends.length, 2);
    assert.equal(status().control, 'syncing');
    assert.equal(
      status().lastError,
      `Cannot list the Services of cluster "west": expected its canary, which says that they are complete: it is absent since ${since}`,
    );
    await writer.service('a/x', ['10.2.0.1']);
    await writer.synced();
    await settle();
    assert.deepEqual(world.told.take(), ['west/2 is synced', '- west a/y']);
    assert.equal(status().lastError, '');
  });

  it('is stale when the canary alone vanished, and says since when it is absent', async () => {
    const { writer, status } = await heardWest();
    const since = new Date(world.clock.wallTime()).toISOString();
    await writer.unsynced();
    await world.clock.advance(6_000);
    assert.deepEqual(world.told.take(), ['west/2 is stale']);
    assert.ok(status().lastError.endsWith(`it is absent since ${since}`), status().lastError);
    await writer.synced();
    await settle();
    assert.deepEqual(world.told.take(), ['west/2 is synced']);
  });

  it('does not mind when somebody sets the wall clock', async () => {
    const { writer, status } = await heardWest();
    for (const hours of [1, -2]) {
      world.clock.setWallTime(world.clock.wallTime() + hours * 60 * MINUTE);
      await world.clock.advance(MINUTE);
      await writer.heartbeat();
      await world.clock.advance(MINUTE / 2);
      assert.equal(status().control, 'heard');
    }
    assert.deepEqual(world.told.take(), []);
    await world.clock.advance(2 * MINUTE);
    assert.deepEqual(world.told.take(), ['west/2 is stale'], 'and silence is noticed all the same');
  });

  it('goes on with its session when calls fail', async () => {
    const { etcd, writer, status } = await heardWest();
    etcd.failsGets = true;
    await writer.withdraw('a/x');
    await writer.service('a/z', ['10.2.0.3']);
    for (let i = 0; i < 3; i++) {
      await writer.heartbeat();
      await world.clock.advance(MINUTE);
    }
    assert.deepEqual(world.told.take(), ['+ west a/z'], 'the withdrawal waits for the canary');
    assert.deepEqual([etcd.opened, status().failures, status().control], [1, 0, 'heard']);
    etcd.failsGets = false;
    await writer.heartbeat();
    await world.clock.advance(MINUTE);
    assert.deepEqual(world.told.take(), ['- west a/x']);
  });

  it('decodes and tells only the last of many values of one key', async () => {
    const { writer, status } = await heardWest();
    for (let i = 0; i < 100; i++) void writer.service('a/x', [`10.2.1.${i}`]);
    for (let i = 0; i < 100; i++) void (i % 2 ? writer.service('a/y', ['10.2.2.1']) : writer.withdraw('a/y'));
    await settle();
    assert.deepEqual(world.told.take(), ['+ west a/x', '+ west a/y']);
    assert.deepEqual(world.told.backends, ['west a/x 10.2.1.99:8080', 'west a/y 10.2.2.1:8080']);
    assert.deepEqual(status().quarantined, []);
  });

  it('looks at a large Service that changes all the time now and then, at its first change at once', async () => {
    const { writer } = await heardWest();
    const many = Array.from({ length: 1_000 }, (_, i) => `10.4.${i >> 8}.${i & 255}`);
    let changes = 0;
    for (let update = 0; update < 41; update++) {
      await writer.service('a/x', many.slice(0, 1_000 - update));
      await writer.service('a/y', [`10.2.1.${update}`]);
      await settle();
      const told = world.told.take();
      assert.ok(told.includes('+ west a/y'), 'a small one is told at once');
      if (update === 0) assert.ok(told.includes('+ west a/x'), 'the first change at once');
      changes += told.filter((line) => line === '+ west a/x').length;
      await world.clock.advance(40);
    }
    assert.ok(changes > 5 && changes <= 20, `told ${changes} of 41 changes in 1.6 s`);
    await world.clock.advance(1_000);
    assert.equal(world.told.services.get('west a/x')?.backends.length, 960, 'and the last one in the end');
  });

  it('logs the first few refused entries of a minute, and each once', async () => {
    const { etcd, writer, status } = await heardWest();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 100; i++) etcd.put(writer.serviceKey(`a/bad-${i}`), 'junk');
      await settle();
    }
    assert.equal(status().quarantined.length, 100);
    assert.equal(world.warned.length, 5);
    await writer.heartbeat();
    await world.clock.advance(MINUTE);
    assert.equal(world.warned.length, 6);
    assert.equal(world.warned.at(-1), '95');
  });

  it('withdraws all that was said under an id that is no longer announced', async () => {
    const { etcd, writer, remote } = await heardWest();
    await writer.config(3);
    await writer.service('a/x', ['10.2.0.1'], 3);
    etcd.breakSessions('restarted');
    await world.clock.advance(2_000);
    const told = world.told.take();
    assert.deepEqual(told, ['west/2 is removed', '+ west a/x', 'west/3 is synced']);
    assert.equal(remote.facts.status.quarantined.length, 1, 'a/y still says 2');
  });

  it('notices a new id with the next heartbeat', async () => {
    const { writer } = await heardWest();
    await writer.config(3);
    await writer.service('a/x', ['10.2.0.1'], 3);
    await writer.heartbeat();
    await world.clock.advance(2_000);
    assert.deepEqual(world.told.take(), ['west/2 is removed', '+ west a/x', 'west/3 is synced']);
  });

  it('tells nothing, and keeps the age, of what is listed or written again unchanged', async () => {
    const { etcd } = await heardWest();
    const ageOf = (key: string) => world.told.services.get(key)?.origin.at;
    const before = ageOf('west a/x');
    await world.clock.advance(5_000);
    etcd.breakSessions('broken');
    await world.clock.advance(2_000);
    etcd.rewrite();
    await settle();
    etcd.breakSessions('broken');
    etcd.rewrite();
    await world.clock.advance(5_000);
    assert.deepEqual(world.told.take(), []);
    assert.equal(ageOf('west a/x'), before);
  });

  it('refuses a swap of ids: each is held by the other', async () => {
    const west = await heardWest();
    const north = world.join('north', 3);
    await north.writer.everything({});
    north.remote.setConfig(CONFIG);
    await settle();
    await west.writer.config(3);
    await north.writer.config(2);
    for (const { etcd } of [west, north]) etcd.breakSessions('restarted');
    world.told.take();
    await world.clock.advance(MINUTE);
    assert.deepEqual([west.status().id, north.status().id], [2, 3]);
    assert.deepEqual(west.status().warnings, ['Cluster "north" claims cluster id 2, too, and is refused']);
    assert.deepEqual(world.told.take().sort(), ['north/3 is stale', 'west/2 is stale']);
    await west.remote.remove();
    await world.clock.advance(MINUTE);
    assert.equal(north.status().id, 2);
  });

  it('opens a new session for new settings, and keeps what is known', async () => {
    const { etcd, remote, status } = await heardWest();
    remote.setConfig({ endpoints: ['http://etcd-2.west:2379'] });
    await settle();
    assert.equal(etcd.opened, 2);
    assert.equal(etcd.open, 1);
    assert.deepEqual(status().endpoints, ['http://etcd-2.west:2379']);
    assert.equal(status().failures, 0);
    assert.deepEqual(world.told.take(), [], 'nothing new was said');
  });

  it('goes on with the earlier settings when the file turns bad, and says so', async () => {
    const { writer, remote, status } = await heardWest();
    remote.setProblem('Cannot use clustermesh file west: expected valid YAML');
    await writer.service('a/z', ['10.2.0.3']);
    await settle();
    assert.deepEqual(world.told.take(), ['+ west a/z']);
    assert.equal(status().lastError, 'Cannot use clustermesh file west: expected valid YAML');
    remote.setConfig(CONFIG);
    await settle();
    assert.equal(status().lastError, '');
  });

  it('close() ends session and watches, and withdraws nothing', async () => {
    const { etcd, writer, remote } = await heardWest();
    await remote.close();
    assert.equal(etcd.open, 0);
    assert.deepEqual(etcd.followed, []);
    const { touches } = world;
    await writer.service('a/z', ['10.2.0.3']);
    remote.facts.touch('state');
    await settle();
    assert.deepEqual([world.told.take(), world.touches - touches], [[], 0]);
  });
});
