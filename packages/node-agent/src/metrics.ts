/** What Prometheus scrapes from an agent. Names follow Cilium's where there is one, with our prefix. */
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ClusterStatus, TableCounts } from '@tombolo/shared/model/service-table.ts';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';

export interface MetricsSource {
  readonly revision: number;
  readonly counts: TableCounts;
  clusters(): ReadonlyMap<ClusterName, ClusterStatus>;
}

/** `applied`: the table revision that each half of the datapath has, by name. */
export function agentMetrics(source: MetricsSource, applied: ReadonlyMap<string, number>): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'tombolo_' });
  const registers = [registry];

  new Gauge({
    name: 'tombolo_service_table_revision',
    help: 'Revision of the service table',
    registers,
    collect() {
      this.set(source.revision);
    },
  });
  new Gauge({
    name: 'tombolo_datapath_applied_revision',
    help: 'Revision of the service table that the kernel has',
    labelNames: ['datapath'],
    registers,
    collect() {
      for (const [datapath, revision] of applied) this.set({ datapath }, revision);
    },
  });
  new Gauge({
    name: 'tombolo_services',
    help: 'Services in the table, by whether they are global',
    labelNames: ['global'],
    registers,
    collect() {
      const { services, globalServices } = source.counts;
      this.set({ global: 'true' }, globalServices);
      this.set({ global: 'false' }, services - globalServices);
    },
  });
  new Gauge({
    name: 'tombolo_clustermesh_remote_clusters',
    help: 'Remote clusters in the clustermesh directory',
    registers,
    collect() {
      this.set(remotes(source).length);
    },
  });
  perCluster('remote_cluster_readiness_status', '1 while the control plane is heard', (c) =>
    Number(c.control === 'heard'),
  );
  perCluster('remote_cluster_failures', 'Failed connections', ({ failures }) => failures);
  perCluster('remote_cluster_services', 'Services shared by the cluster', ({ services }) => services);
  perCluster('remote_cluster_nodes', 'Nodes of the cluster', ({ nodes }) => nodes);
  perCluster('remote_cluster_quarantined', 'Entries refused', ({ quarantined }) => quarantined.length);
  return registry;

  function perCluster(name: string, help: string, value: (status: ClusterStatus) => number): void {
    new Gauge({
      name: `tombolo_clustermesh_${name}`,
      help,
      labelNames: ['target_cluster'],
      registers,
      collect() {
        this.reset();
        for (const status of remotes(source)) this.set({ target_cluster: status.name }, value(status));
      },
    });
  }
}

const remotes = (source: MetricsSource): readonly ClusterStatus[] =>
  [...source.clusters().values()].filter(({ local }) => !local);
