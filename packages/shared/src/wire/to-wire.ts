/**
 * What a cluster says of itself, as wire values. Pure: which Services are exported (global, shared, namespace) and which
 * identity a pod has is decided by the caller.
 */
import type { ClusterIdentity } from '../model/cluster.ts';
import { type Cidr, familyOf, type IpAddress, type IpFamily } from '../model/ip.ts';
import { compareText } from '../model/order.ts';
import { type LocalEndpoint, type LocalService, splitServiceKey } from '../model/service.ts';
import { CLUSTER_LABEL, type WireIdentity } from './identity.ts';
import type { WireIpEntry } from './ip-entry.ts';
import type { WireNode, WireNodeAddress } from './node.ts';
import { TERMINATING_LABEL, type WirePort, type WirePorts, type WireService, type WireZone } from './service.ts';

/**
 * The exported form of a shared Service. Frontends are cluster IPs by service ports, none for a headless Service. An
 * address that several endpoints have gets the ports of all of them that are exported.
 */
export function wireService(
  cluster: ClusterIdentity,
  service: LocalService,
  endpoints: readonly LocalEndpoint[],
): WireService {
  const backends = Map.groupBy(exportedEndpoints(endpoints), ({ address }) => address);
  const frontend = portsByName(service.ports);
  const { [TERMINATING_LABEL]: _, ...labels } = service.labels;
  const isTerminating = backends.size > 0 && !endpoints.some(({ ready }) => ready);
  return {
    cluster: cluster.name,
    ...splitServiceKey(service.key),
    frontends: new Map(service.clusterIps.map((address) => [address, frontend])),
    backends: mapValues(backends, (same) => portsByName(same.flatMap(({ ports }) => ports))),
    hostnames: mapValues(backends, (same) => least(same.map(({ hostname }) => hostname))),
    zones: mapValues(backends, (same) => zoneOf(same)),
    labels: new Map(Object.entries(isTerminating ? { ...labels, [TERMINATING_LABEL]: 'true' } : labels)),
    selector: new Map(Object.entries(service.selector)),
    includeExternal: true,
    shared: true,
    clusterId: cluster.id,
  };
}

/**
 * The endpoints that become backends elsewhere: those that are ready, and only when none is, those that are terminating
 * and still serve, marked as such by the label. Cilium's exporter gives all of them without a mark; but backends have no
 * state on the wire, so its readers go on opening connections to a terminating pod until it is gone, and the last fail.
 */
export function exportedEndpoints(endpoints: readonly LocalEndpoint[]): readonly LocalEndpoint[] {
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  return ready.length > 0 ? ready : endpoints.filter(({ serving, terminating }) => serving && terminating);
}

/** The wire has one port of a name: of several the lowest, whichever was heard of first. */
const portsByName = (ports: readonly (WirePort & { readonly name: string })[]): WirePorts =>
  new Map(
    ports
      .toSorted((a, b) => b.port - a.port || compareText(b.protocol, a.protocol))
      .map(({ name, protocol, port }) => [name, { protocol, port }]),
  );

/** Without the keys whose value is undefined. */
const mapValues = <T, U>(map: ReadonlyMap<string, T>, make: (value: T) => U | undefined): ReadonlyMap<string, U> =>
  new Map(
    [...map].flatMap(([key, value]) => {
      const made = make(value);
      return made === undefined ? [] : [[key, made] as const];
    }),
  );

/** The first in the order of texts, of those that are not empty. */
const least = (texts: readonly string[]): string | undefined =>
  texts.filter((text) => text !== '').toSorted(compareText)[0];

function zoneOf(endpoints: readonly LocalEndpoint[]): WireZone | undefined {
  const zone = least(endpoints.map((endpoint) => endpoint.zone));
  const hints = endpoints.find((endpoint) => endpoint.zone === zone)?.zoneHints;
  return zone === undefined || !hints ? undefined : { zone, forZones: hints };
}

export interface NodeFacts {
  readonly name: string;
  readonly addresses: readonly WireNodeAddress[];
  /** In the order of `podCIDRs`: the first of a family is primary. */
  readonly podCidrs: readonly Cidr[];
  readonly labels: Readonly<Record<string, string>>;
  readonly bootId?: string;
}

export function wireNode(cluster: ClusterIdentity, node: NodeFacts): WireNode {
  const [ipv4AllocCidr, ...moreIpv4] = cidrsOf(node, 4);
  const [ipv6AllocCidr, ...moreIpv6] = cidrsOf(node, 6);
  return {
    name: node.name,
    cluster: cluster.name,
    addresses: node.addresses,
    ipv4AllocCidr: ipv4AllocCidr ?? null,
    ipv4SecondaryAllocCidrs: moreIpv4.length > 0 ? moreIpv4 : null,
    ipv6AllocCidr: ipv6AllocCidr ?? null,
    ipv6SecondaryAllocCidrs: moreIpv6.length > 0 ? moreIpv6 : null,
    ipv4HealthIp: '',
    ipv6HealthIp: '',
    ipv4IngressIp: '',
    ipv6IngressIp: '',
    clusterId: cluster.id,
    source: 'custom-resource',
    encryptionKey: 0,
    labels: new Map(Object.entries(node.labels)),
    annotations: null,
    wireguardPubKey: '',
    bootId: node.bootId ?? '',
  };
}

const cidrsOf = (node: NodeFacts, family: IpFamily): readonly Cidr[] =>
  node.podCidrs.filter((cidr) => familyOf(cidr.address) === family);

export interface PodAddress {
  readonly ip: IpAddress;
  /** The node's address; empty while the pod has none. */
  readonly hostIp: IpAddress | '';
  readonly identity: number;
  readonly namespace: string;
  readonly pod: string;
  readonly serviceAccount: string;
}

/** Its key's suffix is `ipEntrySuffix`. */
export const wireIpEntry = (pod: PodAddress): WireIpEntry => ({
  ...pod,
  encryptionKey: 0,
  metadata: '',
  namedPorts: [],
});

export interface IdentityFacts {
  /** Within `identityRange`. */
  readonly id: number;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly podLabels: Readonly<Record<string, string>>;
  readonly namespaceLabels: Readonly<Record<string, string>>;
}

/** The labels that Cilium gives a pod's identity: its own, its namespace's, and where it is. */
export function wireIdentity(cluster: ClusterIdentity, facts: IdentityFacts): WireIdentity {
  const labels = new Map([
    ...Object.entries(facts.podLabels),
    ...Object.entries(facts.namespaceLabels).map(
      ([key, value]) => [`io.cilium.k8s.namespace.labels.${key}`, value] as const,
    ),
    ['io.cilium.k8s.policy.serviceaccount', facts.serviceAccount] as const,
    ['io.kubernetes.pod.namespace', facts.namespace] as const,
    [CLUSTER_LABEL, cluster.name] as const,
  ]);
  return { id: facts.id, labels: [...labels].map(([key, value]) => ({ source: 'k8s', key, value })) };
}
