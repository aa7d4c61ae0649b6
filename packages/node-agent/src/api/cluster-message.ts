/** Clusters and the agent's own status as the API's messages. Pure. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { timestampFromMs } from '@tombolo/proto/timestamp.ts';
import type { ClusterStatus, TableReader } from '@tombolo/shared/model/service-table.ts';
import { CONTROL_STATES, HEALTH_STATES } from './enum-names.ts';
import { cut } from './service-message.ts';
import type { AgentStatus } from './source.ts';

const MAX_QUARANTINED = 500;

export function clusterMessage(status: ClusterStatus): api.Cluster {
  return {
    ...status,
    id: status.id ?? 0,
    control: CONTROL_STATES[status.control],
    since: timestampFromMs(status.since),
    heardAt: timestampFromMs(status.heardAt),
    endpoints: status.endpoints.map(cut),
    lastError: cut(status.lastError),
    warnings: status.warnings.map(cut),
    quarantined: status.quarantined
      .slice(0, MAX_QUARANTINED)
      .map(({ key, reason, at }) => ({ key: cut(key), reason: cut(reason), at: timestampFromMs(at) })),
    quarantinedCount: status.quarantined.length,
  };
}

/** The local cluster first, then by id and name; those whose id is not known yet come last. */
export function sortClusters(clusters: Iterable<ClusterStatus>): readonly ClusterStatus[] {
  const rank = ({ local, id }: ClusterStatus): number => (local ? 0 : (id ?? Number.MAX_SAFE_INTEGER));
  return [...clusters].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

export function statusMessage(
  status: AgentStatus,
  table: Pick<TableReader, 'revision' | 'counts'>,
  clusters: readonly ClusterStatus[],
): api.GetStatusResponse {
  const parts = [...status.parts].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    cluster: status.cluster.name,
    clusterId: status.cluster.id,
    node: status.node,
    version: status.version,
    datapath: status.datapath.name,
    datapathReason: status.datapath.reason,
    startedAt: timestampFromMs(status.startedAt),
    tableRevision: table.revision,
    services: table.counts.services,
    clusters: clusters.length,
    clustersHeard: clusters.filter(({ control }) => control === 'heard').length,
    ready: isReady(status),
    parts: parts.map(([name, health]) => ({
      name,
      state: HEALTH_STATES[health.kind],
      reason: 'reason' in health ? cut(health.reason) : '',
    })),
  };
}

export const isReady = ({ parts }: AgentStatus): boolean =>
  [...parts.values()].every(({ kind }) => kind !== 'starting');
