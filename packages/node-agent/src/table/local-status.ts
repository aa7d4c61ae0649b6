/** The local cluster in the list of clusters: there is no session with it, so its status is read from the table. */
import type { ClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import type { ClusterStatus, TableSnapshot } from '@tombolo/shared/model/service-table.ts';

export function localStatus({ name, id }: ClusterIdentity, since: number, { entries }: TableSnapshot): ClusterStatus {
  let services = 0;
  const backends = new Set<string>();
  for (const { service, groups } of entries.values()) {
    if (!service) continue;
    services++;
    for (const { backend } of groups.flatMap(({ decisions }) => decisions)) {
      if (backend.cluster.id === id) backends.add(`${backend.address}:${backend.port}/${backend.protocol}`);
    }
  }
  return {
    name,
    id,
    local: true,
    control: 'heard',
    since,
    heardAt: since,
    endpoints: [],
    services,
    backends: backends.size,
    nodes: 0,
    failures: 0,
    lastError: '',
    warnings: [],
    quarantined: [],
  };
}
