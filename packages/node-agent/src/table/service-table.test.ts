import assert from 'node:assert/strict';
import { anyRemote, anyService, anySlice, EAST, KEY, REMOTES } from '@tombolo/shared/merge/world.fixture.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import { sampleEndpoint, sampleRemote, sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import type {
  LocalEndpointSlice,
  LocalService,
  RemoteContribution,
  RemoteService,
} from '@tombolo/shared/model/service.ts';
import fc from 'fast-check';
import { ServiceTable } from './service-table.ts';

type Event =
  | { readonly kind: 'service'; readonly value: LocalService | undefined }
  | { readonly kind: 'slice'; readonly key: string; readonly value: LocalEndpointSlice | undefined }
  | { readonly kind: 'remote'; readonly value: RemoteContribution; readonly gone: boolean };

const SLICES = ['shop/cart-a', 'shop/cart-b'] as const;

const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant('service' as const), value: fc.option(anyService, { nil: undefined }) }),
  fc
    .tuple(fc.constantFrom(...SLICES), fc.option(anySlice, { nil: undefined }))
    .map(([key, slice]): Event => ({ kind: 'slice', key, value: slice && { ...slice, key } })),
  fc.record({
    kind: fc.constant('remote' as const),
    value: fc.constantFrom(...REMOTES).chain(anyRemote),
    gone: fc.boolean(),
  }),
);

function tell(table: ServiceTable, event: Event): void {
  switch (event.kind) {
    case 'service':
      table.setService(KEY, event.value);
      break;
    case 'slice':
      table.setSlice(event.key, event.value);
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

function tableAfter(events: readonly Event[], publishAfterEach: boolean): ServiceTable {
  const table = new ServiceTable(EAST, 'node-1');
  table.open();
  for (const event of events) {
    tell(table, event);
    if (publishAfterEach) table.publish();
  }
  table.publish();
  return table;
}

const remoteService = (address: string): RemoteService => ({
  ...sampleRemote([]),
  key: KEY,
  backends: [{ address: ip(address), ports: [{ name: '', protocol: 'TCP', port: 80 }], zone: '' }],
  origin: { source: 'etcd', revision: '9', at: 0 },
});

const addresses = (table: ServiceTable): readonly string[] => {
  const entry = table.snapshot().entries.get(KEY);
  return [...(entry?.groups.flatMap(({ decisions }) => decisions) ?? []), ...(entry?.unmatched ?? [])].map(
    ({ backend }) => `${backend.cluster.name} ${backend.address}${backend.stale ? ' stale' : ''}`,
  );
};

describe('ServiceTable', () => {
  it('forgets history: the same facts give the same entries however they came about', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 20 }), fc.boolean(), (events, publishAfterEach) => {
        const lived = tableAfter(events, publishAfterEach).snapshot().entries;
        const told = tableAfter(lastOfEach(events), false).snapshot().entries;
        assert.deepEqual(lived, told);
      }),
      { numRuns: 500 },
    );
  });

  it('gives a reader of changes what a reader of snapshots sees', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 20 }), (events) => {
        const table = new ServiceTable(EAST, 'node-1');
        table.open();
        const copy = new Map();
        let revision = 0;
        for (const event of events) {
          tell(table, event);
          table.publish();
          const changes = table.changesSince(revision);
          assert.ok(changes !== 'compacted');
          revision = changes.revision;
          for (const [key, entry] of changes.changed) entry ? copy.set(key, entry) : copy.delete(key);
        }
        assert.deepEqual(copy, table.snapshot().entries);
      }),
    );
  });

  it('merges nothing anew when only the status of the Node changed', () => {
    const table = tableAfter([{ kind: 'service', value: sampleService(KEY) }], true);
    const node = { name: 'node-1', zone: 'a', addresses: [ip('10.0.1.1')], podCidrs: ['10.1.1.0/24'] };
    table.setNode(node);
    assert.equal(table.publish(), true);
    table.setNode({ ...node, addresses: [...node.addresses] });
    assert.equal(table.publish(), false);
    table.setNode({ ...node, podCidrs: ['10.1.2.0/24'] });
    assert.equal(table.publish(), true);
  });

  it('drops the endpoints of a slice that is labelled headless, and takes them back without the label', () => {
    const slice = { key: 'shop/cart-a', service: KEY, endpoints: [sampleEndpoint('10.1.0.1')] };
    const table = tableAfter([{ kind: 'service', value: sampleService(KEY) }], true);
    const after = (headless: boolean): readonly string[] => {
      table.setSlice(slice.key, { ...slice, headless });
      table.publish();
      return addresses(table);
    };
    assert.deepEqual(after(false), ['east 10.1.0.1']);
    assert.deepEqual(after(true), []);
    assert.deepEqual(after(false), ['east 10.1.0.1']);
    after(true);
    table.setService(KEY, sampleService(KEY, { clusterIps: [] }));
    table.publish();
    assert.deepEqual(addresses(table), ['east 10.1.0.1']);
  });

  it('publishes nothing before it is opened', () => {
    const table = new ServiceTable(EAST, 'node-1');
    table.setRemoteServices(REMOTES[0] ?? EAST, new Map([[KEY, remoteService('10.2.0.1')]]));
    assert.equal(table.publish(), false);
    table.open();
    assert.equal(table.publish(), true);
  });

  describe('with backends adopted from the kernel', () => {
    const west = REMOTES[1] ?? EAST;
    const adopt = (): ServiceTable => {
      const table = new ServiceTable(EAST, 'node-1');
      table.adopt([{ identity: west, services: new Map([[KEY, remoteService('10.3.0.1')]]) }]);
      table.open();
      table.publish();
      return table;
    };

    it('keeps them, as stale, until the cluster has spoken', () => {
      const table = adopt();
      assert.deepEqual(addresses(table), ['west 10.3.0.1 stale']);
      table.setRemoteView(west, { kind: 'unknown' });
      table.settleAdopted(new Set([west.id]));
      table.publish();
      assert.deepEqual(addresses(table), ['west 10.3.0.1 stale']);
    });

    it('lets the cluster replace them one Service at a time, and withdraw the rest when its listing is complete', () => {
      const table = adopt();
      table.setRemoteServices(west, new Map([[KEY, remoteService('10.3.0.2')]]));
      table.publish();
      assert.deepEqual(addresses(table), ['west 10.3.0.2 stale']);
      table.setRemoteView(west, { kind: 'synced' });
      table.publish();
      assert.deepEqual(addresses(table), ['west 10.3.0.2']);
    });

    it('withdraws those of a complete listing without the Service', () => {
      const table = adopt();
      table.setRemoteView(west, { kind: 'synced' });
      table.publish();
      assert.deepEqual(addresses(table), []);
    });

    it('keeps those of a Service whose entry is refused, until the cluster says something usable or nothing', () => {
      for (const said of [remoteService('10.3.0.2'), undefined]) {
        const table = adopt();
        table.setRemoteView(west, { kind: 'synced' }, new Set([KEY]));
        table.publish();
        assert.deepEqual(addresses(table), ['west 10.3.0.1 stale']);
        table.setRemoteServices(west, new Map([[KEY, said]]));
        table.publish();
        assert.deepEqual(addresses(table), said ? ['west 10.3.0.2'] : []);
      }
    });

    it('withdraws those of clusters that are no longer configured', () => {
      const table = adopt();
      table.settleAdopted(new Set([7]));
      table.publish();
      assert.deepEqual(addresses(table), []);
    });
  });
});
