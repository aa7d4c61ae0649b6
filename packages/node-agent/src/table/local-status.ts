/** The local cluster in the list of clusters: there is no session with it, so its status is read from the table. */
import type { ClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import type { ClusterStatus, TableCounts } from '@tombolo/shared/model/service-table.ts';

export const localStatus = ({ name, id }: ClusterIdentity, since: number, counts: TableCounts): ClusterStatus => ({
  name,
  id,
  local: true,
  control: 'heard',
  since,
  heardAt: since,
  endpoints: [],
  services: counts.localServices,
  backends: counts.localBackends,
  nodes: 0,
  failures: 0,
  lastError: '',
  warnings: [],
  quarantined: [],
});
