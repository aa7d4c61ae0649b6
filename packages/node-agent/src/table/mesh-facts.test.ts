import assert from 'node:assert/strict';
import { EAST, KEY } from '@tombolo/shared/merge/world.fixture.ts';
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import { sampleRemote } from '@tombolo/shared/model/samples.fixture.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type { ClusterStatus } from '@tombolo/shared/model/service-table.ts';
import { localStatus } from './local-status.ts';
import { MeshFacts } from './mesh-facts.ts';
import { ServiceTable } from './service-table.ts';

const WEST: ClusterIdentity = { name: 'west' as ClusterName, id: 2 };
const SAID = new Map([[KEY, sampleRemote(['10.2.0.1'])]]);
const NONE = new Set<ServiceKey>();
const COUNTS = { services: 0, localServices: 0, globalServices: 0, localBackends: 0 };

const statuses = (...clusters: readonly (readonly [string, number | undefined])[]) =>
  new Map<ClusterName, ClusterStatus>(
    clusters.map(([text, id]) => {
      const name = text as ClusterName;
      return [name, { ...localStatus({ name, id: 0 }, 0, COUNTS), id }];
    }),
  );

describe('MeshFacts', () => {
  let table: ServiceTable;
  let facts: MeshFacts;
  let changes = 0;
  beforeEach(() => {
    table = new ServiceTable({
      local: EAST,
      node: 'node-1',
      scope: 'global',
      defaultGlobalNamespace: true,
      remotePerFrontend: 10,
      remotePerCluster: 10,
    });
    table.open();
    facts = new MeshFacts(table, () => changes++);
  });

  /** What the table knows of other clusters, and how often it was said that something changed. */
  const known = () => {
    table.settle();
    const times = changes;
    changes = 0;
    return [times, ...(table.get(KEY)?.remotes.map(({ cluster, view }) => `${cluster.name} ${view.kind}`) ?? [])];
  };

  it('hands what clusters say on to the table, and tells of each', () => {
    facts.servicesChanged(WEST, SAID);
    assert.deepEqual(known(), [1, 'west unknown']);
    facts.viewChanged(WEST, { kind: 'synced' }, NONE);
    assert.deepEqual(known(), [1, 'west synced']);
    facts.clusterRemoved(WEST);
    assert.deepEqual(known(), [1]);
  });

  it('withdraws what was adopted of clusters that are none of ours, once it is known which there are', () => {
    table.adopt([{ identity: WEST, services: SAID }]);
    facts.settle();
    assert.deepEqual(known(), [0, 'west unknown']);
    facts.statusChanged(statuses(['west', 2]));
    assert.deepEqual(known(), [1, 'west unknown']);
    facts.statusChanged(statuses(['far', 3]));
    assert.deepEqual(known(), [1]);
  });

  it('withdraws what is adopted later, too', () => {
    facts.statusChanged(statuses(['far', 3]));
    table.adopt([{ identity: WEST, services: SAID }]);
    known();
    facts.settle();
    assert.deepEqual(known(), [1]);
  });

  it('shows the last statuses, and the ids that are known, to whoever listens', () => {
    const seen: unknown[] = [];
    const stop = facts.onChange(() => seen.push([...facts.clusterIds]));
    assert.equal(facts.statuses.size, 0);
    facts.statusChanged(statuses(['west', 2], ['far', undefined]));
    stop();
    facts.statusChanged(statuses());
    assert.deepEqual(seen, [[['west', 2]]]);
    assert.equal(facts.statuses.size, 0);
  });
});
