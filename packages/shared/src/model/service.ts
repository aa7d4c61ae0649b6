/**
 * What clusters say about Services: the local one through its Kubernetes API, the others through their etcd. These are
 * facts as heard; what follows from them is decided in `merge`.
 */
import type { ClusterIdentity, ClusterName } from './cluster.ts';
import type { Cidr, IpAddress } from './ip.ts';

/** `namespace/name`. */
export type ServiceKey = string & { readonly brand: 'ServiceKey' };

export const serviceKey = (namespace: string, name: string): ServiceKey => `${namespace}/${name}` as ServiceKey;

export function splitServiceKey(key: ServiceKey): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** The protocols that the datapath balances. Others are carried on the wire and not served. */
export type Protocol = 'TCP' | 'UDP' | 'SCTP';
export type Affinity = 'none' | 'local' | 'remote';
export type ClusterWeights = ReadonlyMap<ClusterName, number>;
export type TrafficPolicy = 'Cluster' | 'Local';
/** What becomes of an announced address while its backends are all in other clusters. */
export type WhenRemoteOnly = 'stay' | 'lower-preference' | 'withdraw';

/** Where a fact comes from and how old it is. `at` is in ms since the epoch, by this machine's clock. */
export interface Origin {
  readonly source: 'kubernetes' | 'etcd' | 'kernel';
  /** resourceVersion or etcd mod revision; empty when read back from the kernel. */
  readonly revision: string;
  readonly at: number;
}

export interface ServicePort {
  /** Empty when the Service has one unnamed port. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** 0 when none is allocated. */
  readonly nodePort: number;
}

/** A Service of this cluster. */
export interface LocalService {
  readonly key: ServiceKey;
  /** Tells this Service from an earlier one of the same name. */
  readonly uid: string;
  /** RFC 3339, as text that sorts. */
  readonly createdAt: string;
  readonly global: boolean;
  readonly shared: boolean;
  readonly affinity: Affinity;
  /**
   * What part of the connections each cluster gets, in proportion; one that is not named has 0, and serves while no other
   * can. Undefined: every backend gets the same.
   */
  readonly clusterWeights?: ClusterWeights | undefined;
  /** Other clusters announce its addresses, too; absent: they do not. */
  readonly anycast?: boolean | undefined;
  /** Absent: `stay`. */
  readonly whenRemoteOnly?: WhenRemoteOnly | undefined;
  /** Empty when headless. */
  readonly clusterIps: readonly IpAddress[];
  readonly externalIps: readonly IpAddress[];
  readonly loadBalancerIps: readonly IpAddress[];
  /** Who is to give it addresses and announce them; absent: anybody. */
  readonly loadBalancerClass?: string | undefined;
  /** It may have its addresses together with others (MetalLB's `allow-shared-ip`). */
  readonly isShared?: boolean | undefined;
  /** Who may come in through `loadBalancerIps`; empty: everybody. */
  readonly sourceRanges: readonly Cidr[];
  readonly ports: readonly ServicePort[];
  /** ClientIP affinity in seconds; 0 when off. */
  readonly sessionAffinitySeconds: number;
  readonly internalTrafficPolicy: TrafficPolicy;
  readonly externalTrafficPolicy: TrafficPolicy;
  /** It has a `trafficDistribution`: backends of this node's zone before those of others, in other clusters, too. */
  readonly staysClose: boolean;
  /** Where load balancers ask each node whether it has endpoints; 0 unless they need to, which is with policy Local. */
  readonly healthCheckNodePort: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly selector: Readonly<Record<string, string>>;
  readonly origin: Origin;
}

export interface BackendPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}

/** One endpoint of an EndpointSlice of this cluster, with the conditions' defaults filled in. */
export interface LocalEndpoint {
  readonly address: IpAddress;
  readonly ports: readonly BackendPort[];
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** Empty strings when unknown. */
  readonly node: string;
  readonly zone: string;
  /** For whom the EndpointSlice controller meant it; empty: for everybody. */
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
  readonly hostname: string;
  /** The name of the pod in the Service's namespace that it is; absent where it is none. */
  readonly pod?: string | undefined;
  readonly origin: Origin;
}

/** One EndpointSlice of this cluster. A Service has many; `merge/endpoints.ts` joins them. */
export interface LocalEndpointSlice {
  /** `namespace/name` of the slice itself. */
  readonly key: string;
  readonly service: ServiceKey;
  /** Labelled `service.kubernetes.io/headless`: for DNS and its like, not for proxies. */
  readonly headless: boolean;
  readonly endpoints: readonly LocalEndpoint[];
}

export interface LocalNamespace {
  readonly name: string;
  /** `clustermesh.cilium.io/global`; undefined where it is absent or neither true nor false: the default decides. */
  readonly global: boolean | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** The Node this agent runs on. */
export interface LocalNode {
  readonly name: string;
  readonly zone: string;
  readonly addresses: readonly IpAddress[];
  /** `podCIDRs`, as text that `parseCidr` accepted. */
  readonly podCidrs: readonly string[];
}

export interface RemoteBackend {
  readonly address: IpAddress;
  readonly ports: readonly BackendPort[];
  readonly zone: string;
}

/** What one other cluster says about a Service. There may be very many: equal parts are shared between them. */
export interface RemoteService {
  readonly key: ServiceKey;
  readonly shared: boolean;
  /** None of the backends is ready any more: they finish what they have, and serve while nobody else does. */
  readonly terminating: boolean;
  /** The ports under which it is reached there, by name; none for a headless Service. */
  readonly frontendPorts: readonly BackendPort[];
  /** Sorted by the text of their address, each address once. */
  readonly backends: readonly RemoteBackend[];
  readonly origin: Origin;
}

/**
 * What is known of another cluster. Unknown is not empty: a cluster not heard since the agent's start may still have
 * backends in the kernel, and those are `adopted` until it speaks.
 */
export type ClusterView =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'synced' }
  | { readonly kind: 'stale'; readonly since: number };

/** One cluster's contribution to one Service. */
export interface RemoteContribution {
  readonly cluster: ClusterIdentity;
  readonly view: ClusterView;
  readonly service: RemoteService;
  /** How many of its backends may be in use for this Service; undefined: the table has room for all. */
  readonly allowance?: number | undefined;
}
