import assert from 'node:assert/strict';
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import { clusterMessage, sortClusters, statusMessage } from './cluster-message.ts';
import { EAST, FakeSource, SAMPLE_TIME, sampleCluster, WEST } from './fake-source.fixture.ts';
import { clusterEvents } from './watch-clusters.ts';

describe('clusterMessage()', () => {
  it('says everything about a cluster', () => {
    const at = { seconds: SAMPLE_TIME / 1000, nanos: 0 };
    const quarantined = [{ key: 'cilium/state/x', reason: 'not JSON', at: SAMPLE_TIME }];
    const status = sampleCluster(WEST, {
      control: 'failed',
      heardAt: 0,
      failures: 3,
      lastError: 'no',
      warnings: ['odd'],
      quarantined,
    });
    assert.deepEqual(clusterMessage(status), {
      name: 'west',
      id: 2,
      local: false,
      control: 'CONTROL_STATE_FAILED',
      since: at,
      heardAt: null,
      endpoints: ['https://west.mesh:2379'],
      services: 1,
      backends: 2,
      nodes: 2,
      failures: 3,
      lastError: 'no',
      warnings: ['odd'],
      quarantined: [{ key: 'cilium/state/x', reason: 'not JSON', at }],
      quarantinedCount: 1,
    });
  });

  it('bounds what a cluster with absurdly many absurd entries takes', () => {
    const quarantined = Array.from({ length: 5_000 }, () => ({
      key: 'k'.repeat(9_999),
      reason: 'r'.repeat(9_999),
      at: 1,
    }));
    const message = clusterMessage(sampleCluster(WEST, { id: undefined, quarantined }));
    assert.equal(message.quarantined.length, 500);
    assert.equal(message.quarantinedCount, 5_000);
    assert.equal(message.id, 0);
    assert.ok(JSON.stringify(message).length < 1_100_000);
  });
});

describe('sortClusters()', () => {
  it('puts the local one first and those without an id last', () => {
    const clusters = [
      sampleCluster({ name: 'new' as ClusterName, id: 9 }, { id: undefined }),
      sampleCluster(WEST),
      sampleCluster({ ...EAST, id: 200 }, { local: true }),
    ];
    assert.deepEqual(
      sortClusters(clusters).map(({ name }) => name),
      ['east', 'west', 'new'],
    );
  });
});

describe('clusterEvents()', () => {
  it('tells of what changed, but not of being heard again', () => {
    const map = (...list: readonly ReturnType<typeof sampleCluster>[]) => new Map(list.map((c) => [c.name, c]));
    const before = map(sampleCluster(EAST), sampleCluster(WEST));
    const events = (after: typeof before) => [...clusterEvents(before, after)].map(({ event }) => event);
    assert.deepEqual(events(map(sampleCluster(EAST, { heardAt: 1 }), sampleCluster(WEST))), []);
    assert.deepEqual(events(map(sampleCluster(EAST, { services: 9 }))), ['cluster', 'removed']);
  });
});

describe('statusMessage()', () => {
  it('counts, sorts the parts and is ready only when none is starting', () => {
    const source = new FakeSource();
    const parts = new Map([
      ['mesh', { kind: 'degraded', reason: 'west is silent' } as const],
      ['datapath', { kind: 'starting' } as const],
    ]);
    const clusters = [sampleCluster(EAST), sampleCluster(WEST, { control: 'silent' })];
    const message = statusMessage({ ...source.agent, parts }, source, clusters);
    assert.equal(message.ready, false);
    assert.deepEqual([message.clusters, message.clustersHeard], [2, 1]);
    assert.deepEqual(message.parts, [
      { name: 'datapath', state: 'HEALTH_STATE_STARTING', reason: '' },
      { name: 'mesh', state: 'HEALTH_STATE_DEGRADED', reason: 'west is silent' },
    ]);
  });
});
