/** What the kernel is asked to do: addresses in, addresses out. Only what was decided, not why. */
import { compareIps, type IpAddress } from './ip.ts';
import type { ServiceKey } from './service.ts';
import type { Frontend } from './service-table.ts';

export interface RouteBackend {
  readonly address: IpAddress;
  readonly port: number;
  /** Kept in the kernel's tables, so that a restarted agent knows whose backends it finds there. */
  readonly clusterId: number;
}

/** The order of `Route.backends`: by address, then port. Two backends that compare equal are duplicates. */
export const compareRouteBackends = (a: RouteBackend, b: RouteBackend): number =>
  compareIps(a.address, b.address) || a.port - b.port;

/** Frontends of one family and protocol that share the same backends. */
export interface Route {
  readonly frontends: readonly Frontend[];
  /** Sorted by `compareRouteBackends`, without duplicates. None: connections are refused at once. */
  readonly backends: readonly RouteBackend[];
  /** ClientIP affinity in seconds; 0 when off. */
  readonly sessionAffinitySeconds: number;
}

export type ServiceRoutes = readonly Route[];
export type Routes = ReadonlyMap<ServiceKey, ServiceRoutes>;
/** Services to be set; `undefined` where they are to be removed. */
export type RouteChanges = ReadonlyMap<ServiceKey, ServiceRoutes | undefined>;
