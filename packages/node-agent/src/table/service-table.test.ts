import assert from 'node:assert/strict';
import { anyRemote, anyService, anySlice, EAST, KEY, REMOTES } from '@tombolo/shared/merge/world.fixture.ts';
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import { cidr, ip } from '@tombolo/shared/model/ip.ts';
import { sampleEndpoint, sampleRemote, sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import {
  type LocalEndpointSlice,
  type LocalService,
  type RemoteContribution,
  type RemoteService,
  serviceKey,
} from '@tombolo/shared/model/service.ts';
import fc from 'fast-check';
import { ServiceTable, type TableOptions } from './service-table.ts';

type Event =
  | { readonly kind: 'service'; readonly value: LocalService | undefined }
  | { readonly kind: 'slice'; readonly key: string; readonly value: LocalEndpointSlice | undefined }
  | { readonly kind: 'namespace'; readonly global: boolean }
  | { readonly kind: 'remote'; readonly value: RemoteContribution; readonly gone: boolean };

const TILL = serviceKey('shop', 'till');
const SLICES = ['shop/cart-a', 'shop/cart-b'] as const;

const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant('service' as const), value: fc.option(anyService, { nil: undefined }) }),
  fc.tuple(fc.constantFrom(...SLICES), fc.option(anySlice, { nil: undefined })).chain(([key, slice]) =>
    // A slice may be given to another Service.
    fc
      .constantFrom(KEY, KEY, TILL)
      .map((service): Event => ({ kind: 'slice', key, value: slice && { ...slice, key, service } })),
  ),
  fc.record({ kind: fc.constant('namespace' as const), global: fc.boolean() }),
  fc.record({
    kind: fc.constant('remote' as const),
    value: fc.constantFrom(...REMOTES).chain(anyRemote),
    gone: fc.boolean(),
  }),
);

function tell(table: ServiceTable, event: Event): void {
  switch (event.kind) {
    case 'service':
      table.local.setService(KEY, event.value);
      break;
    case 'slice':
      table.local.setSlice(event.key, event.value);
      break;
    case 'namespace':
      table.local.setNamespace('shop', { name: 'shop', global: event.global, labels: {} });
      break;
    case 'remote': {
      const { cluster, view, service } = event.value;
      table.setRemoteServices(cluster, new Map([[KEY, event.gone ? undefined : service]]));
      table.setRemoteView(cluster, view);
      break;
    }
  }
}

/** The last event about each thing; everything before it is history. */
function lastOfEach(events: readonly Event[]): readonly Event[] {
  const idOf = (event: Event): string =>
    event.kind === 'slice' ? event.key : event.kind === 'remote' ? event.value.cluster.name : event.kind;
  return [...new Map(events.map((event) => [idOf(event), event])).values()];
}

const OPTIONS: TableOptions = {
  local: EAST,
  node: 'node-1',
  scope: 'global',
  defaultGlobalNamespace: true,
  remotePerFrontend: 3,
  remotePerCluster: 4,
};

function newTable(options: Partial<TableOptions> = {}): ServiceTable {
  const table = new ServiceTable({ ...OPTIONS, ...options });
  table.local.setNamespace('shop', { name: 'shop', global: undefined, labels: {} });
  return table;
}

function tableAfter(events: readonly Event[], publishAfterEach: boolean): ServiceTable {
  const table = newTable();
  table.local.setService(TILL, sampleService(TILL, { clusterIps: [ip('10.96.0.9')] }));
  table.open();
  for (const event of events) {
    tell(table, event);
    if (publishAfterEach) table.settle();
  }
  table.settle();
  return table;
}

const remoteService = (address: string): RemoteService => ({
  ...sampleRemote([]),
  key: KEY,
  backends: [{ address: ip(address), ports: [{ name: '', protocol: 'TCP', port: 80 }], zone: '' }],
  origin: { source: 'etcd', revision: '9', at: 0 },
});

const explanations = (table: ServiceTable) =>
  new Map([...table.services].map(([key, facts]) => [key, table.explain(facts)]));

const addresses = (table: ServiceTable): readonly string[] => {
  const explained = explanations(table).get(KEY);
  return [...(explained?.groups.flatMap(({ decisions }) => decisions) ?? []), ...(explained?.unmatched ?? [])].map(
    ({ backend }) => `${backend.cluster.name} ${backend.address}${backend.stale ? ' stale' : ''}`,
  );
};

describe('ServiceTable', () => {
  it('forgets history: the same facts give the same explanations and routes however they came about', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 20 }), fc.boolean(), (events, publishAfterEach) => {
        const lived = tableAfter(events, publishAfterEach);
        const told = tableAfter(lastOfEach(events), false);
        assert.deepEqual(explanations(lived), explanations(told));
        assert.deepEqual(lived.routes, told.routes);
        assert.deepEqual(lived.counts, told.counts);
      }),
      { numRuns: 400 },
    );
  });

  it('gives a reader of changes what a reader of snapshots sees, of Services as of routes', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 20 }), (events) => {
        const table = newTable();
        table.open();
        const [services, routes] = [new Map(), new Map()];
        let revision = 0;
        for (const event of events) {
          tell(table, event);
          table.settle();
          const [ofServices, ofRoutes] = [table.changesSince(revision), table.routeChangesSince(revision)];
          assert.ok(ofServices !== 'compacted' && ofRoutes !== 'compacted');
          assert.equal(ofServices.revision, ofRoutes.revision);
          revision = ofServices.revision;
          for (const [key, facts] of ofServices.changed) facts ? services.set(key, facts) : services.delete(key);
          for (const [id, route] of ofRoutes.changed) route ? routes.set(id, route) : routes.delete(id);
        }
        assert.deepEqual(services, table.snapshot().services);
        assert.deepEqual(routes, table.routes);
      }),
      { numRuns: 200 },
    );
  });

  it('counts what is there', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 15 }), (events) => {
        const { services, counts } = tableAfter(events, true);
        const all = [...services.values()];
        const local = all.filter(({ service }) => service);
        assert.deepEqual(counts, {
          services: all.length,
          localServices: local.length,
          globalServices: local.filter(({ service }) => service?.global).length,
          localBackends: local.reduce((sum, { endpoints }) => sum + endpoints.length, 0),
        });
      }),
      { numRuns: 100 },
    );
  });

  it('takes what is local first, and publishes it before the rest', () => {
    const table = newTable();
    table.open();
    const [west = EAST] = REMOTES;
    const many = Array.from({ length: 100 }, (_, i) => serviceKey('far', `s${i}`));
    table.setRemoteServices(west, new Map(many.map((key) => [key, { ...remoteService('10.2.0.1'), key }])));
    table.step();
    table.local.setService(KEY, sampleService(KEY));
    table.step();
    table.publish();
    assert.equal(table.services.size, 2);
    assert.ok(table.services.has(KEY));
  });

  it('moves a frontend from one Service to another in one change', () => {
    const table = newTable();
    table.open();
    const external = { externalIps: [ip('192.0.2.1')] };
    const [first, second] = [KEY, TILL].map((key, i) =>
      sampleService(key, { ...external, clusterIps: [ip(`10.96.0.${i + 1}`)], createdAt: `2026-0${i + 1}` }),
    );
    for (const service of [first, second]) if (service) table.local.setService(service.key, service);
    table.settle();
    assert.deepEqual([...table.refusedFrontends.keys()], [TILL]);
    const { revision } = table;
    table.local.setService(KEY, undefined);
    table.step();
    table.publish();
    const changes = table.routeChangesSince(revision);
    assert.ok(changes !== 'compacted');
    assert.ok(changes.changed.get('192.0.2.1:80/TCP'));
    assert.deepEqual(
      [...changes.changed].filter(([, route]) => !route).map(([id]) => id),
      ['10.96.0.1:80/TCP'],
    );
    assert.equal(table.refusedFrontends.size, 0);
  });

  it('moves it also when the one that gains it is looked at before the one that is gone', () => {
    const table = newTable();
    table.open();
    const shared = { clusterIps: [ip('10.96.0.1')] };
    table.local.setService(KEY, sampleService(KEY, { ...shared, createdAt: '2026-01' }));
    table.local.setService(TILL, sampleService(TILL, { ...shared, createdAt: '2026-02' }));
    table.settle();
    // Both wait to be merged, this one first.
    table.local.setService(TILL, sampleService(TILL, { ...shared, createdAt: '2026-03' }));
    table.local.setService(KEY, undefined);
    table.settle();
    assert.deepEqual([...table.routes.keys()], ['10.96.0.1:80/TCP']);
    assert.equal(table.refusedFrontends.size, 0);
  });

  it('holds a cluster to its quota, the first Services by name, and says so', () => {
    const table = newTable({ remotePerCluster: 2 });
    table.open();
    const [west = EAST] = REMOTES;
    const said = (key: typeof KEY) => [key, { ...sampleRemote(['10.2.0.1', '10.2.0.2'], { key }) }] as const;
    for (const [i, key] of [TILL, KEY].entries()) {
      table.local.setService(key, sampleService(key, { clusterIps: [ip(`10.96.0.${i + 1}`)] }));
    }
    table.setRemoteServices(west, new Map([TILL, KEY].map(said)));
    table.settle();
    const used = () => [...table.routes.values()].map(({ frontend, backends }) => [frontend.address, backends.length]);
    assert.deepEqual(used().sort(), [
      ['10.96.0.1', 0],
      ['10.96.0.2', 2],
    ]);
    assert.deepEqual(table.clustersOverQuota, [west.name]);
    table.local.setService(KEY, undefined);
    table.settle();
    assert.deepEqual(used(), [['10.96.0.1', 2]]);
    assert.deepEqual(table.clustersOverQuota, []);
  });

  it('lets a Service take no part in the mesh, as its namespace says or by default', () => {
    const table = newTable({ defaultGlobalNamespace: false });
    table.open();
    table.local.setService(KEY, sampleService(KEY));
    table.setRemoteServices(REMOTES[0] ?? EAST, new Map([[KEY, sampleRemote(['10.2.0.1'])]]));
    const backends = () => {
      table.settle();
      return table.routes.get('10.96.0.1:80/TCP')?.backends.length;
    };
    assert.equal(backends(), undefined);
    table.local.setNamespace('shop', { name: 'shop', global: true, labels: {} });
    assert.equal(backends(), 1);
    table.local.setNamespace('shop', { name: 'shop', global: undefined, labels: {} });
    assert.equal(backends(), undefined);
  });

  it('merges nothing anew when only the status of the Node changed', () => {
    const table = tableAfter([{ kind: 'service', value: sampleService(KEY) }], true);
    const node = { name: 'node-1', zone: 'a', addresses: [ip('10.0.1.1')], podCidrs: ['10.1.1.0/24'] };
    table.setNode(node);
    assert.equal(table.settle(), true);
    table.setNode({ ...node, addresses: [...node.addresses] });
    assert.equal(table.settle(), false);
    table.setNode({ ...node, podCidrs: ['10.1.2.0/24'] });
    assert.equal(table.settle(), true);
  });

  it('takes no backends of others inside the ranges of this node’s pods, nor its own addresses', () => {
    const table = newTable();
    table.open();
    table.local.setService(KEY, sampleService(KEY, { clusterIps: ['10.96.0.1', 'fd00:96::1'].map(ip) }));
    const said = ['10.1.1.9', '10.0.1.1', '10.0.1.2', 'fd00:1::9', 'fd00::1', 'fd00::2'];
    table.setRemoteServices(REMOTES[0] ?? EAST, new Map([[KEY, sampleRemote(said)]]));
    const used = () => {
      table.settle();
      return [...table.routes.values()].flatMap(({ backends }) => backends.map(({ address }) => address)).sort();
    };
    assert.equal(used().length, 4);
    assert.deepEqual([table.podCidrs, table.lacksPodCidrs], [[], false]);
    const node = { name: 'node-1', zone: '', addresses: ['10.0.1.1', 'fd00::1'].map(ip) };
    table.setNode({ ...node, podCidrs: [] });
    assert.equal(table.lacksPodCidrs, true);
    table.setNode({ ...node, podCidrs: ['10.1.1.0/24', 'nonsense', 'fd00:1::/64'] });
    assert.deepEqual(used(), ['10.0.1.2', 'fd00::2']);
    assert.deepEqual([table.podCidrs.map(({ length }) => length), table.lacksPodCidrs], [[24, 64], false]);
  });

  it('serves no external address inside the ranges of cluster IPs, from when they are known', () => {
    const table = tableAfter(
      [{ kind: 'service', value: sampleService(KEY, { externalIps: [ip('10.96.7.7')] }) }],
      true,
    );
    assert.ok(table.routes.has('10.96.7.7:80/TCP'));
    table.setServiceRanges([cidr('10.96.0.0/12')]);
    table.settle();
    assert.ok(!table.routes.has('10.96.7.7:80/TCP'));
    assert.deepEqual([...table.refusedFrontends.keys()], [KEY]);
  });

  it('tells of nothing but what changed, and only when something did', () => {
    const table = tableAfter([{ kind: 'service', value: sampleService(KEY) }], true);
    let told = 0;
    const stop = table.onChange(() => told++);
    const changed = (): readonly string[] => {
      const { revision } = table;
      table.settle();
      const changes = table.routeChangesSince(revision);
      assert.ok(changes !== 'compacted');
      return [...changes.changed.keys()];
    };
    table.local.setService(KEY, sampleService(KEY, { labels: { a: 'b' } }));
    assert.deepEqual([changed(), told], [[], 1]);
    assert.deepEqual(table.get(KEY)?.service?.labels, { a: 'b' });
    table.local.setService(KEY, sampleService(KEY, { externalIps: [ip('192.0.2.1')] }));
    assert.deepEqual([changed(), told], [['192.0.2.1:80/TCP'], 2]);
    table.local.setService(KEY, sampleService(KEY, { externalIps: [ip('192.0.2.2')] }));
    assert.deepEqual([changed(), told], [['192.0.2.1:80/TCP', '192.0.2.2:80/TCP'], 3]);
    table.setRemoteServices(REMOTES[0] ?? EAST, new Map([[serviceKey('far', 'gone'), undefined]]));
    assert.deepEqual([changed(), told, table.settle()], [[], 3, false]);
    stop();
    table.local.setService(KEY, undefined);
    assert.deepEqual([changed().length, told], [2, 3]);
  });

  it('drops the endpoints of a slice that is labelled headless, and takes them back without the label', () => {
    const slice = { key: 'shop/cart-a', service: KEY, endpoints: [sampleEndpoint('10.1.0.1')] };
    const table = tableAfter([{ kind: 'service', value: sampleService(KEY) }], true);
    const after = (headless: boolean): readonly string[] => {
      table.local.setSlice(slice.key, { ...slice, headless });
      table.settle();
      return addresses(table);
    };
    assert.deepEqual(after(false), ['east 10.1.0.1']);
    assert.deepEqual(after(true), []);
    assert.deepEqual(after(false), ['east 10.1.0.1']);
    after(true);
    table.local.setService(KEY, sampleService(KEY, { clusterIps: [] }));
    table.settle();
    assert.deepEqual(addresses(table), ['east 10.1.0.1']);
  });

  it('publishes nothing before it is opened', () => {
    const table = newTable();
    table.setRemoteServices(REMOTES[0] ?? EAST, new Map([[KEY, remoteService('10.2.0.1')]]));
    assert.equal(table.settle(), false);
    table.open();
    assert.equal(table.settle(), true);
  });

  describe('with backends adopted from the kernel', () => {
    const west = REMOTES[1] ?? EAST;
    const adopt = (): ServiceTable => {
      const table = newTable();
      table.adopt([{ identity: west, services: new Map([[KEY, remoteService('10.3.0.1')]]) }]);
      table.open();
      table.settle();
      return table;
    };

    it('keeps them, as stale, until the cluster has spoken', () => {
      const table = adopt();
      assert.deepEqual(addresses(table), ['west 10.3.0.1 stale']);
      table.setRemoteView(west, { kind: 'unknown' });
      table.settleAdopted(new Map([[west.name, west.id]]));
      table.settle();
      assert.deepEqual(addresses(table), ['west 10.3.0.1 stale']);
    });

    it('lets the cluster replace them one Service at a time, and withdraw the rest when its listing is complete', () => {
      const table = adopt();
      table.setRemoteServices(west, new Map([[KEY, remoteService('10.3.0.2')]]));
      table.settle();
      assert.deepEqual(addresses(table), ['west 10.3.0.2 stale']);
      table.setRemoteView(west, { kind: 'synced' });
      table.settle();
      assert.deepEqual(addresses(table), ['west 10.3.0.2']);
    });

    it('withdraws those of a complete listing without the Service', () => {
      const table = adopt();
      table.setRemoteView(west, { kind: 'synced' });
      table.settle();
      assert.deepEqual(addresses(table), []);
    });

    it('keeps those of a Service whose entry is refused, until the cluster says something usable or nothing', () => {
      for (const said of [remoteService('10.3.0.2'), undefined]) {
        const table = adopt();
        table.setRemoteView(west, { kind: 'synced' }, new Set([KEY]));
        table.settle();
        assert.deepEqual(addresses(table), ['west 10.3.0.1 stale']);
        table.setRemoteServices(west, new Map([[KEY, said]]));
        table.settle();
        assert.deepEqual(addresses(table), said ? ['west 10.3.0.2'] : []);
      }
    });

    it('withdraws those of clusters that are no longer configured', () => {
      const table = adopt();
      table.settleAdopted(new Map([['far' as ClusterName, 7]]));
      table.settle();
      assert.deepEqual(addresses(table), []);
    });
  });
});
