import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import { sampleEndpoint, sampleRemote, sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import { FakeClock } from '@tombolo/shared/process/clock.fixture.ts';
import type { Clock } from '@tombolo/shared/process/clock.ts';
import { HealthTree } from '@tombolo/shared/process/health.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { AgentCore, type CoreParts } from './core.ts';
import { MemoryDatapath, MemoryKernel } from './datapath/memory.fixture.ts';
import type { SavedState } from './table/saved-state.ts';

const CART = serviceKey('shop', 'cart');
const WEST = { name: 'west' as ClusterName, id: 2 };
const NORTH = { name: 'north' as ClusterName, id: 3 };
const FRONTEND = { kind: 'ClusterIP', address: ip('10.96.0.1'), port: 80, protocol: 'TCP' } as const;

class Half extends MemoryDatapath {
  override readonly name: 'memory';
  isBroken = false;

  constructor(name: string) {
    super(new MemoryKernel());
    this.name = name as 'memory';
  }

  override apply(changes: Parameters<MemoryDatapath['apply']>[0]) {
    return this.isBroken ? Promise.reject(new Error('no memory')) : super.apply(changes);
  }
}

describe('AgentCore', () => {
  let stop: AbortController;
  let health: HealthTree;
  let core: AgentCore;
  let sockets: Half;
  let packets: Half;
  let running: Promise<void> | undefined;
  let saves: number;

  const newCore = (saved?: SavedState, clock?: Clock): AgentCore => {
    const config = {
      cluster: { name: 'east' as ClusterName, id: 1 },
      nodeName: 'node-1',
      scope: 'global',
      defaultGlobalNamespace: true,
      remotePerFrontend: 100,
      remotePerCluster: 100,
    } as const;
    return new AgentCore({ config, saved, log: silentLogger, health, clock });
  };
  const run = (parts: Partial<CoreParts> = {}): void => {
    running = core.run(
      {
        halves: [sockets, packets],
        readKernel: () => sockets.read(),
        localSynced: Promise.resolve(),
        save: async () => void saves++,
        ...parts,
      },
      stop.signal,
    );
  };
  const serve = (address: string): void => {
    const { local } = core.table;
    local.setNamespace('shop', { name: 'shop', global: undefined, labels: {} });
    local.setService(CART, sampleService(CART));
    local.setSlice('shop/a', { key: 'shop/a', service: CART, headless: false, endpoints: [sampleEndpoint(address)] });
    core.changed();
  };
  const route = (address: string, clusterId: number): FrontendRoute => ({
    frontend: FRONTEND,
    backends: [{ address: ip(address), port: 8080, clusterId }],
    sessionAffinitySeconds: 0,
  });

  beforeEach(() => {
    stop = new AbortController();
    health = new HealthTree();
    core = newCore();
    sockets = new Half('sockets');
    packets = new Half('packets');
    running = undefined;
    saves = 0;
  });
  afterEach(async () => {
    stop.abort();
    await running;
  });

  it('writes nothing before the local sources are complete, and reads the kernel before it writes', async () => {
    const synced = Promise.withResolvers<void>();
    sockets.kernel.routes.set(frontendId(FRONTEND), route('10.1.0.9', 1));
    run({ localSynced: synced.promise });
    serve('10.1.0.1');
    await turns();
    assert.deepEqual(sockets.calls, []);
    assert.equal(saves, 0);
    assert.ok(health.waitingFor.includes('table'));
    synced.resolve();
    await core.settled(['sockets', 'packets'], stop.signal);
    assert.deepEqual(sockets.calls, ['read', 'replace']);
    assert.deepEqual(packets.calls, ['replace']);
    assert.equal(saves, 1);
    assert.deepEqual(sockets.kernel.backendsOf(FRONTEND), ['10.1.0.1:8080']);
    assert.ok(health.ready);
  });

  it('looks for more of the kernel while what was in use is missing', async () => {
    const used = new Set([ip('10.2.0.1')]);
    const remote = { cluster: WEST, service: sampleRemote([...used]), used };
    const frontends = new Map([[frontendId(FRONTEND), 'http']]);
    const services = new Map([[CART, { uid: sampleService(CART).uid, frontends, remotes: [remote] }]]);
    core = newCore({ ownId: 1, clusters: new Map([[WEST.name, WEST.id]]), services });
    const answers: boolean[] = [];
    serve('10.1.0.1');
    run({
      readKernel: async (isEnough) => {
        const [part, all] = [[route('10.1.0.1', 1)], [route('10.2.0.1', 2)]];
        answers.push(isEnough(part), isEnough(all));
        return all;
      },
    });
    await core.settled(['sockets'], stop.signal);
    assert.deepEqual(answers, [false, true]);
    assert.deepEqual(sockets.kernel.backendsOf(FRONTEND), ['10.1.0.1:8080', '10.2.0.1:8080']);
  });

  it('adopts what the kernel has of a cluster that has not spoken, whether that is told before or after', async () => {
    for (const isFirst of [true, false]) {
      core = newCore();
      sockets = new Half('sockets');
      sockets.kernel.routes.set(frontendId(FRONTEND), route('10.2.0.1', 2));
      const synced = Promise.withResolvers<void>();
      run({ localSynced: synced.promise });
      serve('10.1.0.1');
      if (isFirst) core.facts.viewChanged(NORTH, { kind: 'synced' }, new Set());
      synced.resolve();
      await core.settled(['sockets'], stop.signal);
      if (!isFirst) core.facts.viewChanged(NORTH, { kind: 'synced' }, new Set());
      await core.settled(['sockets'], stop.signal);
      assert.deepEqual(sockets.kernel.backendsOf(FRONTEND), ['10.1.0.1:8080', '10.2.0.1:8080']);
    }
  });

  it('goes on with one half of the datapath while the other fails, and says so', async () => {
    run();
    serve('10.1.0.1');
    await core.settled(['sockets', 'packets'], stop.signal);
    packets.isBroken = true;
    serve('10.1.0.2');
    core.facts.servicesChanged(WEST, new Map([[CART, sampleRemote(['10.2.0.1'])]]));
    core.facts.viewChanged(WEST, { kind: 'synced' }, new Set());
    await core.settled(['sockets'], stop.signal);
    assert.deepEqual(sockets.kernel.backendsOf(FRONTEND), ['10.1.0.2:8080', '10.2.0.1:8080']);
    assert.deepEqual(packets.kernel.backendsOf(FRONTEND), ['10.1.0.1:8080']);
    assert.deepEqual(health.complaints, ['datapath/packets: cannot program the kernel: no memory']);
    assert.ok((core.applied.get('packets') ?? 0) < (core.applied.get('sockets') ?? 0));
  });

  it('waits with what a cluster says until its first listing is complete, but not with local facts and other clusters', async () => {
    run();
    serve('10.1.0.1');
    await core.settled(['sockets'], stop.signal);
    const cart2 = serviceKey('shop', 'cart2');
    const till = serviceKey('shop', 'till');
    core.facts.servicesChanged(
      WEST,
      new Map([
        [CART, sampleRemote(['10.2.0.1'])],
        [cart2, sampleRemote(['10.2.0.2'], { key: cart2 })],
      ]),
    );
    await turns();
    assert.equal(core.table.get(cart2), undefined);
    serve('10.1.0.2');
    await turns();
    assert.equal(sockets.kernel.backendsOf(FRONTEND)?.includes('10.1.0.2:8080'), true);
    core.facts.viewChanged(NORTH, { kind: 'synced' }, new Set());
    core.facts.servicesChanged(NORTH, new Map([[till, sampleRemote(['10.3.0.1'], { key: till })]]));
    await turns();
    assert.notEqual(core.table.get(till), undefined);
    assert.equal(core.table.get(cart2), undefined);
    core.facts.viewChanged(WEST, { kind: 'synced' }, new Set());
    await core.settled(['sockets'], stop.signal);
    assert.deepEqual(sockets.kernel.backendsOf(FRONTEND), ['10.1.0.2:8080', '10.2.0.1:8080']);
    assert.notEqual(core.table.get(cart2), undefined);
  });

  it('does not wait for a first listing with what was known before anything was written', async () => {
    const synced = Promise.withResolvers<void>();
    run({ localSynced: synced.promise });
    serve('10.1.0.1');
    core.facts.servicesChanged(WEST, new Map([[CART, sampleRemote(['10.2.0.1'])]]));
    synced.resolve();
    while (sockets.calls.length < 2) await turns();
    assert.deepEqual(sockets.kernel.backendsOf(FRONTEND), ['10.1.0.1:8080', '10.2.0.1:8080']);
  });

  it('publishes much that other clusters say at once, and what is local before that', async () => {
    core = newCore(undefined, new FakeClock());
    run();
    await core.settled(['sockets'], stop.signal);
    let publications = 0;
    core.table.onChange(() => publications++);
    const many = Array.from({ length: 20_000 }, (_, i) => serviceKey('far', `s${i}`));
    core.facts.viewChanged(WEST, { kind: 'synced' }, new Set());
    core.facts.servicesChanged(WEST, new Map(many.map((key) => [key, sampleRemote(['10.2.0.1'], { key })])));
    await nextTurn();
    serve('10.1.0.1');
    await core.settled(['sockets'], stop.signal);
    assert.equal(core.table.services.size, many.length + 1);
    assert.equal(publications, 2);
  });

  it('takes a listing that does not end as it comes', async () => {
    const clock = new FakeClock();
    core = newCore(undefined, clock);
    run();
    serve('10.1.0.1');
    await core.settled(['sockets'], stop.signal);
    core.facts.servicesChanged(WEST, new Map([[CART, sampleRemote(['10.2.0.1'])]]));
    await clock.advance(10_000);
    await core.settled(['sockets'], stop.signal);
    assert.deepEqual(sockets.kernel.backendsOf(FRONTEND), ['10.1.0.1:8080', '10.2.0.1:8080']);
  });

  it('knows the ids of clusters from before the start, and those of silent ones until their file is gone', () => {
    const remembered = new Map([
      ['west' as ClusterName, 2],
      ['gone' as ClusterName, 3],
    ]);
    core = newCore({ ownId: 1, clusters: remembered, services: new Map() });
    assert.deepEqual(core.facts.clusterIds, remembered);
    let told = 0;
    core.facts.onChange(() => told++);
    const status = { ...NOBODY, name: WEST.name, id: WEST.id };
    core.facts.statusChanged(new Map([[WEST.name, status]]));
    const known = core.facts.clusterIds;
    assert.deepEqual(known, new Map([[WEST.name, 2]]));
    core.facts.statusChanged(new Map([[WEST.name, { ...status, backends: 7 }]]));
    assert.equal(core.facts.clusterIds, known);
    assert.equal(told, 2);
  });
});

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await nextTurn();
};

const NOBODY = {
  local: false,
  control: 'connecting',
  since: 0,
  heardAt: 0,
  endpoints: [],
  services: 0,
  backends: 0,
  nodes: 0,
  failures: 0,
  lastError: '',
  warnings: [],
  quarantined: [],
} as const;
