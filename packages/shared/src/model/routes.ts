/** What the kernel is asked to do: addresses in, addresses out. Only what was decided, not why. */
import { type Cidr, formatCidr, type IpAddress } from './ip.ts';
import { compareText } from './order.ts';
import type { Frontend } from './service-table.ts';

export interface RouteBackend {
  readonly address: IpAddress;
  readonly port: number;
  /** Kept in the kernel's tables, so that a restarted agent knows whose backends it finds there. */
  readonly clusterId: number;
}

/** The order of `FrontendRoute.backends`: by the text of the address, then port. Two that compare equal are the same one. */
export const compareRouteBackends = (a: RouteBackend, b: RouteBackend): number =>
  compareText(a.address, b.address) || a.port - b.port;

/** One frontend and where it leads. */
export interface FrontendRoute {
  readonly frontend: Frontend;
  /**
   * Of the frontend's family, sorted by `compareRouteBackends`, at most `MOST_BACKENDS`; one that is there several times
   * gets so many shares of the connections. None: they are refused at once. Frontends with the same choice share one array.
   */
  readonly backends: readonly RouteBackend[];
  /** Where clients outside the cluster are led, if that is elsewhere; as `backends`, but with none they get no answer. */
  readonly outside?: readonly RouteBackend[] | undefined;
  /** From where clients outside the cluster may come, if not from everywhere: prefixes of the frontend's family. */
  readonly sourceRanges?: readonly Cidr[] | undefined;
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
    isSameRanges(a.sourceRanges, b.sourceRanges) &&
    isSameChoice(a.backends, b.backends) &&
    (a.outside === undefined || b.outside === undefined
      ? a.outside === b.outside
      : isSameChoice(a.outside, b.outside)));

const isSameRanges = (a: readonly Cidr[] = [], b: readonly Cidr[] = []): boolean =>
  a === b || (a.length === b.length && a.every((range, i) => b[i] && formatCidr(range) === formatCidr(b[i])));

export const isSameChoice = (a: readonly RouteBackend[], b: readonly RouteBackend[]): boolean =>
  a === b || (a.length === b.length && a.every((backend, i) => isSameBackend(backend, b[i])));

export const isSameBackend = (a: RouteBackend, b: RouteBackend | undefined): boolean =>
  a.address === b?.address && a.port === b.port && a.clusterId === b.clusterId;
