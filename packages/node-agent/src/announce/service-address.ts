/**
 * The addresses of Services that the network may have to be told of, and for each whether this node should tell it: the
 * same for ARP, NDP and BGP. Pure.
 *
 * An endpoint counts as long as it is ready; where none is ready any more, as long as it serves. So a node, or a cluster,
 * withdraws before its last endpoint ends, and the last one of all keeps the address. A cluster whose last ready one ends while
 * others have such is one with remote backends only, and does what the Service says of that.
 */
import type { ServiceScope } from '@tombolo/shared/merge/context.ts';
import { isProgrammed } from '@tombolo/shared/merge/merge-service.ts';
import { isServedBy, remotePortMatcher } from '@tombolo/shared/merge/port-match.ts';
import type { AddressPool, PoolProduct } from '@tombolo/shared/model/address-pool.ts';
import { isIn, numberOf } from '@tombolo/shared/model/address-range.ts';
import { familyOf, type IpAddress, type IpFamily } from '@tombolo/shared/model/ip.ts';
import type { Labels } from '@tombolo/shared/model/label-selector.ts';
import type {
  LocalEndpoint,
  LocalService,
  ServiceKey,
  TrafficPolicy,
  WhenRemoteOnly,
} from '@tombolo/shared/model/service.ts';
import type { ServiceFacts } from '@tombolo/shared/model/service-table.ts';

export type AddressKind = 'LoadBalancer' | 'ExternalIP' | 'ClusterIP';

/** Why an address is not announced from this node; the first that applies, in this order. */
export type Obstacle =
  /** The Node has the label that keeps it out of load balancing, has no network, or is about to go. */
  | 'nodeExcluded'
  /** `loadBalancerClass` names somebody else. */
  | 'otherClass'
  | 'noEndpoints'
  | 'noLocalEndpoints'
  /** Other clusters alone have backends, and the Service wants to be withdrawn then. */
  | 'remoteOnly'
  /** The kernel of this node does not lead it anywhere yet. */
  | 'notProgrammed';

/** A pool that has the address. */
export interface AnnouncedPool {
  readonly product: PoolProduct;
  readonly name: string;
  readonly labels: Labels;
}

/** An address of a Service, and what decides whether and how it is announced from this node. Immutable. */
export interface ServiceAddress {
  readonly service: ServiceKey;
  /** Of the Service. */
  readonly labels: Labels;
  readonly kind: AddressKind;
  readonly address: IpAddress;
  /** `externalTrafficPolicy`; of a ClusterIP `internalTrafficPolicy`. */
  readonly policy: TrafficPolicy;
  /** Empty when there is none. */
  readonly loadBalancerClass: string;
  /** It may have its address together with others (MetalLB's `allow-shared-ip`). */
  readonly isShared: boolean;
  readonly pools: readonly AnnouncedPool[];
  /** Nodes with an endpoint of this cluster that counts. */
  readonly servingNodes: ReadonlySet<string>;
  /** Somewhere in the mesh an endpoint counts. */
  readonly isServed: boolean;
  /** Other clusters announce it, too. */
  readonly anycast: boolean;
  /** Other clusters alone have backends: what the Service wants then; undefined: this one has some. */
  readonly remoteOnly: WhenRemoteOnly | undefined;
  /** Undefined: it should be announced from this node, as far as Service, endpoints, node and datapath are concerned. */
  readonly obstacle: Obstacle | undefined;
  /** Nothing else stands in its way than that the node is excluded: it may stay until its traffic has gone elsewhere. */
  readonly drains: boolean;
}

export interface AnnouncingNode {
  readonly name: string;
  readonly scope: ServiceScope;
  readonly isExcluded: boolean;
}

/** Those that choose how an address is announced, and that which is ours. */
const CLASSES: readonly string[] = [
  '',
  'io.cilium/bgp-control-plane',
  'io.cilium/l2-announcer',
  'tombolo.io/load-balancer',
];

/** `isApplied`: whether the kernel of this node leads that address of the Service to where the table says. */
export function serviceAddresses(
  facts: ServiceFacts,
  node: AnnouncingNode,
  pools: Iterable<AddressPool>,
  isApplied: (address: IpAddress) => boolean,
): readonly ServiceAddress[] {
  const { key, service } = facts;
  if (!service) return [];
  const { labels, loadBalancerClass = '', isShared = false, anycast = false, whenRemoteOnly = 'stay' } = service;
  const served = new Map<IpFamily, Served>();
  const servedIn = (family: IpFamily): Served => {
    const known = served.get(family) ?? servedOf(facts, service, family);
    served.set(family, known);
    return known;
  };
  const isOurs = isProgrammed(node, facts);
  return addressesOf(service).map(({ kind, address }): ServiceAddress => {
    const policy = kind === 'ClusterIP' ? service.internalTrafficPolicy : service.externalTrafficPolicy;
    const { nodes, isServed, isRemoteOnly } = servedIn(familyOf(address));
    const about = { service: key, labels, kind, address, policy, loadBalancerClass, isShared, anycast };
    // Nobody is told of a ClusterIP for the sake of other clusters.
    const remoteOnly = isRemoteOnly && kind !== 'ClusterIP' ? whenRemoteOnly : undefined;
    const state = { pools: poolsWith(pools, address), servingNodes: nodes, isServed, remoteOnly };
    const isReady = !isOurs || isApplied(address);
    const obstacle = obstacleOf({ ...about, ...state }, node.name, isReady);
    if (!node.isExcluded) return { ...about, ...state, obstacle, drains: false };
    return { ...about, ...state, obstacle: 'nodeExcluded', drains: obstacle === undefined };
  });
}

function addressesOf(service: LocalService): readonly Pick<ServiceAddress, 'kind' | 'address'>[] {
  const { loadBalancerIps, externalIps, clusterIps } = service;
  const all = (kind: AddressKind, addresses: readonly IpAddress[]) => addresses.map((address) => ({ kind, address }));
  return [
    ...all('LoadBalancer', loadBalancerIps),
    ...all(
      'ExternalIP',
      externalIps.filter((address) => !loadBalancerIps.includes(address)),
    ),
    ...all('ClusterIP', clusterIps),
  ];
}

function obstacleOf(
  { kind, loadBalancerClass, policy, servingNodes, isServed, remoteOnly }: Omit<ServiceAddress, 'obstacle' | 'drains'>,
  node: string,
  isReady: boolean,
): Obstacle | undefined {
  if (kind === 'LoadBalancer' && !CLASSES.includes(loadBalancerClass)) return 'otherClass';
  if (policy === 'Local' && servingNodes.size > 0 && !servingNodes.has(node)) return 'noLocalEndpoints';
  if (policy === 'Local' ? servingNodes.size === 0 : !isServed) return 'noEndpoints';
  if (remoteOnly === 'withdraw') return 'remoteOnly';
  return isReady ? undefined : 'notProgrammed';
}

interface Served {
  readonly nodes: ReadonlySet<string>;
  readonly isServed: boolean;
  /** Other clusters have backends, this one none that is ready. */
  readonly isRemoteOnly: boolean;
}

function servedOf({ endpoints, remotes, takesPart }: ServiceFacts, service: LocalService, family: IpFamily): Served {
  const offering = endpoints.filter(
    ({ address, ports }) =>
      familyOf(address) === family && ports.some((offered) => service.ports.some((port) => isServedBy(port, offered))),
  );
  const ready = offering.filter((endpoint) => endpoint.ready);
  const count: readonly LocalEndpoint[] = ready.length > 0 ? ready : offering.filter(({ serving }) => serving);
  const nodes = new Set(count.map(({ node }) => node).filter((node) => node !== ''));
  const offeringRemotes = remotes.filter(({ service: remote }) => {
    if (!service.global || !takesPart || !remote.shared) return false;
    const matchers = service.ports.map((port) => remotePortMatcher(port, remote));
    return remote.backends.some(
      ({ address, ports }) => familyOf(address) === family && ports.some((port) => matchers.some((fits) => fits(port))),
    );
  });
  // Of clusters that all have nothing but what ends each keeps the address.
  const isReadyElsewhere = offeringRemotes.some(({ service: remote }) => !remote.terminating);
  return {
    nodes,
    isServed: count.length > 0 || offeringRemotes.length > 0,
    isRemoteOnly: ready.length === 0 && (isReadyElsewhere || (count.length === 0 && offeringRemotes.length > 0)),
  };
}

function poolsWith(pools: Iterable<AddressPool>, address: IpAddress): readonly AnnouncedPool[] {
  const family = familyOf(address);
  const number = numberOf(address);
  const found: AnnouncedPool[] = [];
  for (const { product, name, labels, ranges } of pools)
    if (ranges.some((range) => isIn(range, family, number))) found.push({ product, name, labels });
  return found;
}
