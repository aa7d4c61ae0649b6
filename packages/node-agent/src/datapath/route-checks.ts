/**
 * What every caller of a datapath must keep to: checks that turn a call that could not come from a correct caller into
 * a sentence.
 */
import { isMapped } from '@tombolo/shared/merge/eligibility.ts';
import { familyOf, type IpFamily } from '@tombolo/shared/model/ip.ts';
import {
  compareRouteBackends,
  type FrontendRoute,
  MOST_BACKENDS,
  type RouteBackend,
} from '@tombolo/shared/model/routes.ts';

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65535;

/**
 * Why this route breaks the contract of `FrontendRoute`, or undefined when it keeps it. `unchecked`: of its backends
 * those that are not known to be right, and to be in their places.
 */
export function faultOfRoute(
  { frontend, backends, outside = [], sessionAffinitySeconds: seconds }: FrontendRoute,
  unchecked = backends,
): string | undefined {
  const family = familyOf(frontend.address);
  if (isMapped(frontend.address)) return 'frontend must not be an IPv4-mapped IPv6 address';
  if (!isPort(frontend.port)) return `frontend port must be 1-65535: current value is ${frontend.port}`;
  const most = Math.max(backends.length, outside.length);
  if (most > MOST_BACKENDS) return `backends must be at most ${MOST_BACKENDS}: there are ${most}`;
  const fault = faultOfBackends(unchecked, family) ?? faultOfBackends(outside, family);
  if (fault !== undefined) return fault;
  return Number.isInteger(seconds) && seconds >= 0 && seconds < 2 ** 32
    ? undefined
    : `session affinity must be whole seconds: current value is ${seconds}`;
}

function faultOfBackends(backends: readonly RouteBackend[], family: IpFamily): string | undefined {
  let previous: RouteBackend | undefined;
  for (const backend of backends) {
    const text = `${backend.address} port ${backend.port}`;
    if (familyOf(backend.address) !== family) return `backend ${text} must be of the frontend's family`;
    if (isMapped(backend.address)) return `backend ${text} must not be an IPv4-mapped IPv6 address`;
    if (!isPort(backend.port)) return `backend port must be 1-65535: current value is ${backend.port}`;
    const order = previous === undefined ? -1 : compareRouteBackends(previous, backend);
    if (order > 0) return `backends must be sorted: ${text} is out of place`;
    if (order === 0 && previous?.clusterId !== backend.clusterId) {
      return `backends must be of one cluster each: ${text} is of ${previous?.clusterId} and ${backend.clusterId}`;
    }
    previous = backend;
  }
  return undefined;
}
