/**
 * The service table: what is known of each Service, and what follows from it: the frontends it has here, every backend
 * that any cluster offers for them, and for each backend whether it is used and which rule decided.
 */
import type { ClusterIdentity, ClusterName } from './cluster.ts';
import type { IpAddress, IpFamily } from './ip.ts';
import type {
  Affinity,
  LocalEndpoint,
  LocalService,
  Origin,
  Protocol,
  RemoteContribution,
  ServiceKey,
  ServicePort,
} from './service.ts';

export type BackendState = 'active' | 'terminating' | 'unready';

export interface Backend {
  readonly address: IpAddress;
  readonly port: number;
  readonly protocol: Protocol;
  /** Sorted; every name under which the backend's cluster offers this port. */
  readonly portNames: readonly string[];
  readonly cluster: ClusterIdentity;
  /** Empty for remote backends: the wire format does not carry it. */
  readonly node: string;
  readonly zone: string;
  readonly state: BackendState;
  /** The cluster it comes from has fallen silent: still used, but say so. */
  readonly stale: boolean;
  readonly origin: Origin;
}

/** Why a backend is not used. The order is that of the rules: the first that applies is given. */
export type Exclusion =
  | 'no-local-service'
  | 'not-global'
  | 'namespace'
  | 'not-shared'
  | 'refused-address'
  | 'address-family'
  | 'port-name'
  | 'duplicate'
  | 'traffic-policy'
  | 'unready'
  | 'affinity'
  | 'terminating'
  | 'topology'
  | 'weight'
  | 'quota';

export type Verdict = 'selected' | Exclusion;

export interface Decision {
  readonly backend: Backend;
  readonly verdict: Verdict;
  /** One sentence for people: what decided. */
  readonly detail: string;
  /** What it gets of the connections, in proportion to others of its group; undefined: as much as each of them. */
  readonly weight?: number | undefined;
}

export type FrontendKind = 'ClusterIP' | 'ExternalIP' | 'LoadBalancer' | 'NodePort';

export interface Frontend {
  readonly kind: FrontendKind;
  /** The unspecified address (0.0.0.0 or ::) for a NodePort: every address of the node. */
  readonly address: IpAddress;
  readonly port: number;
  readonly protocol: Protocol;
}

/** E.g. `192.0.2.1:80/TCP`. What packets tell: two frontends with one id cannot both be served; `kind` is no part of it. */
export const frontendId = ({ address, port, protocol }: Omit<Frontend, 'kind'>): string =>
  `${address}:${port}/${protocol}`;

/** All that is known of one Service, and all that its frontends and backends are decided from. Immutable. */
export interface ServiceFacts {
  readonly key: ServiceKey;
  /** Undefined while only other clusters have this Service. */
  readonly service: LocalService | undefined;
  /** Whether its namespace takes part in the mesh. */
  readonly takesPart: boolean;
  /** Those that count, see `merge/endpoints.ts`. */
  readonly endpoints: readonly LocalEndpoint[];
  readonly remotes: readonly RemoteContribution[];
  /** Why frontends that it asks for are not served, by `frontendId`. */
  readonly refusedFrontends: ReadonlyMap<string, string>;
}

/** Whose connections: everybody's, or those of clients that are in this cluster (its nodes and pods), or are not. */
export type Clients = 'all' | 'inside' | 'outside';

/** The frontends of one service port and family that share one choice of backends, and that choice. */
export interface FrontendGroup {
  readonly port: ServicePort;
  readonly family: IpFamily;
  readonly clients: Clients;
  readonly frontends: readonly Frontend[];
  readonly refused: readonly RefusedFrontend[];
  /** Sorted by cluster (local first, then id), address and port. */
  readonly decisions: readonly Decision[];
}

export interface RefusedFrontend {
  readonly frontend: Frontend;
  readonly reason: string;
}

/** What is decided about one Service, with a reason for everything: made for whoever asks. */
export interface ServiceExplanation {
  readonly key: ServiceKey;
  readonly service: LocalService | undefined;
  /** Whether this node's datapath serves it; kube-proxy may serve what it does not. */
  readonly programmed: boolean;
  readonly affinity: Affinity;
  readonly groups: readonly FrontendGroup[];
  /** Backends that no frontend here could ever use, with the reason. */
  readonly unmatched: readonly Decision[];
}

/** An immutable picture of the whole table. */
export interface TableSnapshot {
  readonly revision: number;
  readonly services: ReadonlyMap<ServiceKey, ServiceFacts>;
}

/** What is in the table now; kept, not counted. */
export interface TableCounts {
  readonly services: number;
  readonly localServices: number;
  readonly globalServices: number;
  /** Endpoints of local Services. */
  readonly localBackends: number;
}

/** The last state of each Service that changed after some revision; `undefined` where it is gone. */
export interface TableChanges {
  readonly revision: number;
  readonly changed: ReadonlyMap<ServiceKey, ServiceFacts | undefined>;
}

/** The table as others read it. */
export interface TableReader {
  readonly revision: number;
  readonly counts: TableCounts;
  get(key: ServiceKey): ServiceFacts | undefined;
  /** What is decided about a Service; worked out here, so ask for what is shown. */
  explain(facts: ServiceFacts): ServiceExplanation;
  snapshot(): TableSnapshot;
  /** `compacted` when the table does not know (any more) what changed since then, as it never does since -1. */
  changesSince(revision: number): TableChanges | 'compacted';
  /** The listener is called after each change, synchronously and cheaply; the answer takes it off again. */
  onChange(listener: () => void): () => void;
}

/** Can the cluster's control plane be heard. Whether its nodes can be reached is a different question. */
export type ControlState = 'connecting' | 'syncing' | 'heard' | 'silent' | 'failed';

/** One entry of a remote cluster that was refused, and why. */
export interface Quarantined {
  readonly key: string;
  readonly reason: string;
  readonly at: number;
}

export interface ClusterStatus {
  readonly name: ClusterName;
  /** Undefined until its configuration was accepted, by this agent or one before it. */
  readonly id: number | undefined;
  readonly local: boolean;
  readonly control: ControlState;
  /** When `control` last changed, and when the cluster was last heard (0: never); ms since the epoch. */
  readonly since: number;
  readonly heardAt: number;
  readonly endpoints: readonly string[];
  readonly services: number;
  readonly backends: number;
  readonly nodes: number;
  readonly failures: number;
  /** Empty when all is well. */
  readonly lastError: string;
  /** What is wrong and does not keep it from being heard, e.g. that another cluster claims its id. */
  readonly warnings: readonly string[];
  readonly quarantined: readonly Quarantined[];
}
