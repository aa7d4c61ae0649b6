/** What the kernel is asked to do: addresses in, addresses out. Only what was decided, not why. */
import type { IpAddress } from './ip.ts';
import { compareText } from './order.ts';
import type { Frontend } from './service-table.ts';

export interface RouteBackend {
  readonly address: IpAddress;
  readonly port: number;
  /** Kept in the kernel's tables, so that a restarted agent knows whose backends it finds there. */
  readonly clusterId: number;
}

/** The order of `FrontendRoute.backends`: by the text of the address, then port. Two that compare equal are duplicates. */
export const compareRouteBackends = (a: RouteBackend, b: RouteBackend): number =>
  compareText(a.address, b.address) || a.port - b.port;

/** One frontend and where it leads. */
export interface FrontendRoute {
  readonly frontend: Frontend;
  /**
   * Of the frontend's family, sorted by `compareRouteBackends`, without duplicates, at most `MOST_BACKENDS`. None:
   * connections are refused at once. Frontends with the same choice share one array.
   */
  readonly backends: readonly RouteBackend[];
  /** ClientIP affinity in seconds; 0 when off. */
  readonly sessionAffinitySeconds: number;
}

/** How many backends one frontend may have: what the smaller of the two datapaths takes. */
export const MOST_BACKENDS = 32_767;

/** By `frontendId`. */
export type Routes = ReadonlyMap<string, FrontendRoute>;
/** `undefined` where a frontend is to be removed. */
export type RouteChanges = ReadonlyMap<string, FrontendRoute | undefined>;

export const isSameRoute = (a: FrontendRoute | undefined, b: FrontendRoute | undefined): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    a.frontend.kind === b.frontend.kind &&
    a.sessionAffinitySeconds === b.sessionAffinitySeconds &&
    isSameChoice(a.backends, b.backends));

export const isSameChoice = (a: readonly RouteBackend[], b: readonly RouteBackend[]): boolean =>
  a === b || (a.length === b.length && a.every((backend, i) => isSameBackend(backend, b[i])));

export const isSameBackend = (a: RouteBackend, b: RouteBackend | undefined): boolean =>
  a.address === b?.address && a.port === b.port && a.clusterId === b.clusterId;
