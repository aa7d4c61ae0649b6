/** What Prometheus scrapes from an agent. Names follow Cilium's where there is one, with our prefix. */
import type { ClusterStatus } from '@tombolo/shared/model/service-table.ts';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Announcing } from './announce/announcing.ts';
import type { ApiSource } from './api/source.ts';
import type { Closing } from './closing/closing.ts';
import type { AgentCore } from './core.ts';
import type { Datapath } from './datapath/datapath.ts';

/** Values with their label. */
type Values = Iterable<readonly [label: string, value: number]>;

/** `applied`: the table revision that each half of the datapath has, by name; `repairs`: how often it was set right. */
export function agentMetrics(
  source: Pick<ApiSource, 'table' | 'clusters'>,
  { applied, repairs }: Pick<AgentCore, 'applied' | 'repairs'>,
  halves: readonly Pick<Datapath, 'fill'>[],
  announcing: Pick<Announcing, 'counts'>,
  closing?: Pick<Closing, 'closed'>,
): Registry {
  const { table } = source;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'tombolo_' });

  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      ...{ name: `tombolo_${name}`, help, registers: [registry] },
      collect() {
        this.set(value());
      },
    });
  };
  const gauges = (name: string, help: string, label: string, values: () => Values): void => {
    new Gauge({
      ...{ name: `tombolo_${name}`, help, labelNames: [label], registers: [registry] },
      collect() {
        this.reset();
        for (const [of, value] of values()) this.set({ [label]: of }, value);
      },
    });
  };
  const remotes = () => [...source.clusters().values()].filter(({ local }) => !local);
  const perCluster = (name: string, help: string, value: (status: ClusterStatus) => number): void =>
    gauges(`clustermesh_remote_cluster_${name}`, help, 'target_cluster', () =>
      remotes().map((status) => [status.name, value(status)]),
    );

  gauge('service_table_revision', 'Revision of the service table', () => table.revision);
  gauges('datapath_applied_revision', 'Revision of the service table that the kernel has', 'datapath', () => applied);
  gauges('bpf_map_pressure', 'Share of the entries of a BPF map that is taken; 1: full', 'map_name', () =>
    halves.flatMap(({ fill }) => [...(fill ?? [])]),
  );
  new Counter({
    name: 'tombolo_datapath_repairs_total',
    help: 'How often others changed what was programmed, and it was set right',
    labelNames: ['datapath'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [datapath, count] of repairs) this.inc({ datapath }, count);
    },
  });
  gauges('services', 'Services in the table, by whether they are global', 'global', () => {
    const { services, globalServices } = table.counts;
    return [
      ['true', globalServices],
      ['false', services - globalServices],
    ];
  });
  gauge('l2_addresses_held', 'Addresses for which this node answers ARP and NDP', () => announcing.counts.held);
  gauge('l2_speakers', 'Other agents that are heard', () => announcing.counts.speakers);
  gauge('bgp_peers', 'Routers that this node is to speak to', () => announcing.counts.bgpPeers);
  gauge(
    'bgp_rival_sessions',
    'Sessions of other programs of this node with the same routers',
    () => announcing.counts.bgpRivals,
  );
  gauge('bgp_peers_established', 'Routers with which there is a session', () => announcing.counts.bgpEstablished);
  const counter = (name: string, help: string, value: () => number): void => {
    new Counter({
      ...{ name: `tombolo_${name}`, help, registers: [registry] },
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  };
  if (closing)
    counter('connections_closed_total', 'Connections closed whose backend was gone for good', () => closing.closed);
  counter('l2_answers_total', 'ARP and NDP questions that were answered', () => announcing.counts.answered);
  counter('l2_heartbeats_refused_total', 'Heartbeats that did not count', () => announcing.counts.refusedHeartbeats);
  gauge('clustermesh_remote_clusters', 'Remote clusters in the clustermesh directory', () => remotes().length);
  perCluster('readiness_status', '1 while the control plane is heard', ({ control }) => Number(control === 'heard'));
  perCluster('failures', 'Failed connections', ({ failures }) => failures);
  perCluster('services', 'Services shared by the cluster', ({ services }) => services);
  perCluster('nodes', 'Nodes of the cluster', ({ nodes }) => nodes);
  perCluster('quarantined', 'Entries refused', ({ quarantined }) => quarantined.length);
  return registry;
}
