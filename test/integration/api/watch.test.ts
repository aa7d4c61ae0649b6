import assert from 'node:assert/strict';
import {
  EAST,
  sampleBackend,
  sampleCluster,
  sampleEntry,
  sampleGroup,
  sampleWeb,
  selected,
  WEST,
} from '@tombolo/node-agent/api/fake-source.fixture.ts';
import type { WatchClustersResponse, WatchServicesResponse } from '@tombolo/proto/generated/tombolo-v1.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { ApiFixture, until } from './fixture.ts';

const ALL = { namespace: '', name: '', globalOnly: false };
const WEB = serviceKey('default', 'web');

function describeEvent(event: WatchServicesResponse): string {
  switch (event.event) {
    case 'service':
      return `${event.revision} set ${event.service.name}`;
    case 'removed':
      return `${event.revision} removed ${event.removed.name}`;
    default:
      return `${event.revision} ${event.event}`;
  }
}

describe('WatchServices', () => {
  let api: ApiFixture;
  beforeEach(async () => {
    api = await ApiFixture.create();
    await api.serve();
  });
  afterEach(() => api.close());

  const watch = (filter: Partial<typeof ALL> = {}, resumeToken = '') => {
    const stream = api.client().watchServices({ ...ALL, ...filter }, resumeToken);
    let token = '';
    /** Everything up to the end of the round. */
    const round = async (): Promise<readonly string[]> => {
      const events: string[] = [];
      for (;;) {
        const { value, done } = await stream.next();
        if (done) throw new Error(`The stream ended after ${events.join(', ')}`);
        events.push(describeEvent(value));
        if (value.event === 'snapshotEnd') token = value.snapshotEnd.resumeToken;
        if (value.event === 'bookmark') token = value.bookmark.resumeToken;
        if (value.event === 'snapshotEnd' || value.event === 'bookmark') return events;
      }
    };
    return { stream, round, token: () => token };
  };

  it('gives a snapshot, its end, then changes', async () => {
    api.source.set(sampleWeb());
    const { round } = watch();
    assert.deepEqual(await round(), ['1 snapshotBegin', '1 set web', '1 snapshotEnd']);
    api.source.set(sampleEntry('db', []));
    assert.deepEqual(await round(), ['2 set db', '2 bookmark']);
    api.source.remove(WEB);
    assert.deepEqual(await round(), ['3 removed web', '3 bookmark']);
  });

  it('gives an empty snapshot its end too', async () => {
    assert.deepEqual(await watch().round(), ['0 snapshotBegin', '0 snapshotEnd']);
  });

  it('resumes where an earlier stream ended', async () => {
    api.source.set(sampleWeb());
    const first = watch();
    await first.round();
    await first.stream.return(undefined);
    api.source.set(sampleEntry('db', []));
    const second = watch({}, first.token());
    assert.deepEqual(await second.round(), ['2 set db', '2 bookmark']);
    await second.stream.return(undefined);
    assert.deepEqual(await watch({}, second.token()).round(), ['2 bookmark']);
  });

  it('begins anew when the table forgot, restarted, or the token is not one', async () => {
    api.source.set(sampleWeb());
    const { round, token } = watch();
    await round();
    const anew = ['2 snapshotBegin', '2 set db', '2 set web', '2 snapshotEnd'];
    api.source.set(sampleEntry('db', []));
    api.source.compact();
    assert.deepEqual(await watch({}, token()).round(), anew);
    assert.deepEqual(await watch({}, 'rubbish').round(), anew);
    assert.deepEqual(await watch({}, `${token()}9`).round(), anew);
    api.source.agent = { ...api.source.agent, startedAt: api.source.agent.startedAt + 1 };
    assert.deepEqual(await watch({}, token()).round(), anew);
  });

  it('shows a filtered reader what enters and leaves the filter, and nothing else', async () => {
    api.source.set(sampleWeb(), sampleEntry('db', [], { global: false }));
    const { round } = watch({ globalOnly: true });
    assert.deepEqual(await round(), ['1 snapshotBegin', '1 set web', '1 snapshotEnd']);
    api.source.set(sampleEntry('other', [], { global: false }));
    api.source.set(sampleEntry('web', [], { global: false }));
    api.source.set(sampleEntry('db', []));
    const seen: string[] = [];
    while (seen.filter((event) => !event.includes('bookmark')).length < 2) seen.push(...(await round()));
    assert.deepEqual(
      seen
        .filter((event) => !event.includes('bookmark'))
        .map((event) => event.slice(2))
        .sort(),
      ['removed web', 'set db'],
    );
  });

  it('watches one service', async () => {
    api.source.set(sampleWeb(), sampleEntry('db', []));
    const { round } = watch({ namespace: 'default', name: 'web' });
    assert.deepEqual(await round(), ['1 snapshotBegin', '1 set web', '1 snapshotEnd']);
    api.source.set(sampleEntry('db', []));
    api.source.set(sampleWeb());
    assert.deepEqual(await round(), ['3 set web', '3 bookmark']);
  });

  it('gives a slow reader the latest state, not a backlog, and holds little for it', async function () {
    this.timeout(60_000);
    const backends = Array.from({ length: 100 }, (_, i) => selected(sampleBackend(`10.1.0.${i + 1}`)));
    const big = (i: number) => sampleEntry(`svc-${i}`, [sampleGroup(backends)]);
    const { stream, round } = watch();
    await round();
    let reads = 0;
    const changesSince = api.source.changesSince.bind(api.source);
    api.source.changesSince = (revision) => {
      reads++;
      return changesSince(revision);
    };
    // The reader takes nothing while 20,000 changes of 1,000 services go by, one turn of the event loop each.
    for (let i = 0; i < 20_000; i++) {
      api.source.set(big(i % 1_000));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(reads < 1_000, `the stalled stream read the table ${reads} times`);
    let events = 0;
    let last: WatchServicesResponse | undefined;
    while (!(last?.event === 'bookmark' && last.revision === 20_000)) {
      const { value, done } = await stream.next();
      assert.ok(!done);
      last = value;
      events++;
    }
    assert.ok(events < 10_000, `20,000 changes reached the slow reader as ${events} events`);
  });

  it('sends a snapshot to a reader that fell behind what the table remembers', async function () {
    this.timeout(60_000);
    const backends = Array.from({ length: 100 }, (_, i) => selected(sampleBackend(`10.1.0.${i + 1}`)));
    const { stream, round } = watch();
    await round();
    for (let i = 0; i < 3_000; i++) {
      api.source.set(sampleEntry(`svc-${i}`, [sampleGroup(backends)]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    api.source.compact();
    api.source.remove(serviceKey('default', 'svc-0'));
    const seen = new Set<string>();
    let snapshots = 0;
    for (;;) {
      const { value, done } = await stream.next();
      assert.ok(!done);
      if (value.event === 'snapshotBegin') {
        snapshots++;
        seen.clear();
      }
      if (value.event === 'service') seen.add(value.service.name);
      if (value.event === 'removed') seen.delete(value.removed.name);
      if ((value.event === 'snapshotEnd' || value.event === 'bookmark') && value.revision === 3_001) break;
    }
    assert.equal(snapshots, 1);
    assert.equal(seen.size, 2_999);
  });

  it('lets go of the table when the reader leaves', async () => {
    const { stream, round } = watch();
    await round();
    assert.equal(api.source.tableListeners.size, 1);
    await stream.return(undefined);
    await until('the listener is gone', () => api.source.tableListeners.size === 0);
  });
});

describe('WatchClusters', () => {
  it('gives all clusters, then those that changed in more than when they were heard', async () => {
    const api = await ApiFixture.create();
    try {
      await api.serve();
      api.source.setCluster(sampleCluster(EAST));
      api.source.setCluster(sampleCluster(WEST));
      const stream = api.client().watchClusters();
      const next = async (count: number): Promise<readonly string[]> => {
        const events: string[] = [];
        while (events.length < count) {
          const { value, done } = await stream.next();
          assert.ok(!done);
          events.push(describeClusterEvent(value));
        }
        return events;
      };
      assert.deepEqual(await next(4), ['snapshotBegin', 'east HEARD', 'west HEARD', 'snapshotEnd']);
      api.source.setCluster(sampleCluster(EAST, { heardAt: 1 }));
      api.source.setCluster(sampleCluster(WEST, { control: 'silent' }));
      assert.deepEqual(await next(2), ['west SILENT', 'bookmark']);
      api.source.removeCluster(WEST.name);
      assert.deepEqual(await next(2), ['west removed', 'bookmark']);
      await stream.return(undefined);
      await until('the listener is gone', () => api.source.clusterListeners.size === 0);
    } finally {
      await api.close();
    }
  });
});

function describeClusterEvent(event: WatchClustersResponse): string {
  if (event.event === 'cluster') return `${event.cluster.name} ${event.cluster.control.replace('CONTROL_STATE_', '')}`;
  return event.event === 'removed' ? `${event.removed} removed` : String(event.event);
}
