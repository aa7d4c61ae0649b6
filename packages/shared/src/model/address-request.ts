/** What a Service of type LoadBalancer asks of the pools, and what it has. */
import type { PoolProduct } from './address-pool.ts';
import type { IpAddress, IpFamily } from './ip.ts';
import type { Labels } from './label-selector.ts';
import type { Protocol, ServiceKey } from './service.ts';

/** One address for several Services: those who name the same key, in the words of one product. */
export interface Sharing {
  readonly product: PoolProduct;
  readonly key: string;
  /** Whose Services may share it with this one, beside those of its own namespace; `*`: all. */
  readonly namespaces: readonly string[];
}

export interface AddressRequest {
  readonly key: ServiceKey;
  /** RFC 3339, as text that sorts. */
  readonly createdAt: string;
  readonly labels: Labels;
  /** Those that the Service has; the first is the primary one. */
  readonly families: readonly IpFamily[];
  readonly policy: 'SingleStack' | 'PreferDualStack' | 'RequireDualStack';
  /** Empty: any will do. */
  readonly wanted: readonly IpAddress[];
  /** A pool of MetalLB's, by name. */
  readonly wantedPool?: string | undefined;
  readonly sharing: Sharing | undefined;
  readonly ports: readonly { readonly protocol: Protocol; readonly port: number }[];
  /** With externalTrafficPolicy Local: the pods that it selects, as text; empty where it selects none. */
  readonly localSelector?: string | undefined;
}

/** Addresses that nobody else may get. */
export interface TakenAddresses {
  readonly key: ServiceKey;
  /** In its status. */
  readonly held: readonly IpAddress[];
  readonly external: readonly IpAddress[];
  /** Its status says that we gave what is there. */
  readonly isOurs: boolean;
}

export type AddressReason =
  | 'satisfied'
  | 'no_pool'
  | 'pool_selector_mismatch'
  | 'already_allocated'
  | 'already_allocated_incompatible_service'
  | 'reserved'
  | 'out_of_ips'
  | 'wrong_family'
  | 'stranded';

/** What becomes of a request. */
export interface Assignment {
  readonly addresses: readonly IpAddress[];
  /** The first that applies. */
  readonly reason: AddressReason;
  /** A sentence for people. */
  readonly message: string;
}
