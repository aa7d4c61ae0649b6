/**
 * The event stream of WatchClusters: all clusters, then those that differ from what the reader was sent last. That a
 * cluster was heard again without anything else changing is no event, since it happens all the time.
 */
import { isDeepStrictEqual } from 'node:util';
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ClusterStatus } from '@tombolo/shared/model/service-table.ts';
import { clusterMessage, sortClusters } from './cluster-message.ts';
import { rounds } from './rounds.ts';
import type { ApiSource } from './source.ts';

type Clusters = ReadonlyMap<ClusterName, ClusterStatus>;

/** Ends when the signal aborts. */
export async function* watchClusters(
  source: ApiSource,
  signal: AbortSignal,
): AsyncGenerator<api.WatchClustersResponse> {
  let sent: Clusters | undefined;
  for await (const _ of rounds((listener) => source.onClustersChange(listener), signal)) {
    const isFirst = sent === undefined;
    const now = source.clusters();
    const events = [...clusterEvents(sent ?? new Map(), now)];
    sent = now;
    if (isFirst) yield { event: 'snapshotBegin', snapshotBegin: {} };
    yield* events;
    if (isFirst) yield { event: 'snapshotEnd', snapshotEnd: { resumeToken: '' } };
    else if (events.length > 0) yield { event: 'bookmark', bookmark: { resumeToken: '' } };
  }
}

export function* clusterEvents(before: Clusters, after: Clusters): Generator<api.WatchClustersResponse> {
  for (const status of sortClusters(after.values())) {
    const last = before.get(status.name);
    if (!last || !sameButHeard(last, status)) yield { event: 'cluster', cluster: clusterMessage(status) };
  }
  for (const name of before.keys()) if (!after.has(name)) yield { event: 'removed', removed: name };
}

const sameButHeard = (a: ClusterStatus, b: ClusterStatus): boolean =>
  a === b || isDeepStrictEqual({ ...a, heardAt: 0 }, { ...b, heardAt: 0 });
