/**
 * Every backend that any cluster offers for one Service, as one list in a fixed order: local first, then by cluster id,
 * address, port and protocol. A port offered under several names is one backend with several names.
 */

import type { ClusterIdentity } from '../model/cluster.ts';
import { type IpAddress, orderKey } from '../model/ip.ts';
import { compareText } from '../model/order.ts';
import type { BackendPort, LocalEndpoint, Origin, RemoteContribution } from '../model/service.ts';
import type { Backend, BackendState } from '../model/service-table.ts';

export interface Candidate {
  readonly backend: Backend;
  readonly local: boolean;
  /** Whether its own cluster shares it. */
  readonly shared: boolean;
}

/** What the backends of one address have in common. */
interface Endpoint {
  readonly address: IpAddress;
  readonly ports: readonly BackendPort[];
  readonly node: string;
  readonly zone: string;
  readonly state: BackendState;
  readonly stale: boolean;
  readonly origin: Origin;
  readonly cluster: ClusterIdentity;
  readonly local: boolean;
  readonly shared: boolean;
}

export function candidatesOf(
  local: ClusterIdentity,
  endpoints: readonly LocalEndpoint[],
  remotes: readonly RemoteContribution[],
): readonly Candidate[] {
  const candidates = [
    ...endpoints.flatMap((endpoint) => candidatesAt(fromLocal(local, endpoint))),
    ...remotes.flatMap(fromRemote).flatMap(candidatesAt),
  ];
  return inFixedOrder(candidates);
}

function fromLocal(cluster: ClusterIdentity, endpoint: LocalEndpoint): Endpoint {
  const { address, ports, node, zone, origin } = endpoint;
  return {
    address,
    ports,
    node,
    zone,
    origin,
    cluster,
    local: true,
    shared: true,
    stale: false,
    state: stateOf(endpoint),
  };
}

function stateOf({ ready, serving, terminating }: LocalEndpoint): BackendState {
  if (ready) return 'active';
  return serving && terminating ? 'terminating' : 'unready';
}

function fromRemote({ cluster, view, service }: RemoteContribution): readonly Endpoint[] {
  return service.backends.map(({ address, ports, zone }) => ({
    address,
    ports,
    node: '',
    zone,
    // The wire carries no state: an exporter publishes only what serves.
    state: 'active',
    stale: view.kind !== 'synced',
    origin: service.origin,
    cluster,
    local: false,
    shared: service.shared,
  }));
}

function candidatesAt(endpoint: Endpoint): readonly Candidate[] {
  const { ports, local, shared, ...common } = endpoint;
  const namesByPort = new Map<string, { port: BackendPort; names: Set<string> }>();
  for (const port of ports) {
    const key = `${port.protocol}/${port.port}`;
    const known = namesByPort.get(key) ?? { port, names: new Set<string>() };
    known.names.add(port.name);
    namesByPort.set(key, known);
  }
  return [...namesByPort.values()].map(({ port, names }) => ({
    local,
    shared,
    backend: {
      ...common,
      port: port.port,
      protocol: port.protocol,
      portNames: [...names].filter((name) => name !== '').sort(compareText),
    },
  }));
}

function inFixedOrder(candidates: readonly Candidate[]): readonly Candidate[] {
  return candidates
    .map((candidate) => ({ candidate, address: orderKey(candidate.backend.address) }))
    .sort(
      (a, b) =>
        Number(b.candidate.local) - Number(a.candidate.local) ||
        a.candidate.backend.cluster.id - b.candidate.backend.cluster.id ||
        compareText(a.candidate.backend.cluster.name, b.candidate.backend.cluster.name) ||
        compareText(a.address, b.address) ||
        a.candidate.backend.port - b.candidate.backend.port ||
        compareText(a.candidate.backend.protocol, b.candidate.backend.protocol),
    )
    .map(({ candidate }) => candidate);
}
