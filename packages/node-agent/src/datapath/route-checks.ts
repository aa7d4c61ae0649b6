/**
 * What every caller of a datapath must keep to: checks that turn a call that could not come from a correct caller into
 * a sentence.
 */
import { familyOf } from '@tombolo/shared/model/ip.ts';
import { compareRouteBackends, type Route, type Routes } from '@tombolo/shared/model/routes.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65535;

/** Why this route breaks the contract of `Route`, or undefined when it keeps it. */
export function faultOfRoute(route: Route): string | undefined {
  const [first] = route.frontends;
  if (first === undefined) return 'route must have a frontend';
  const family = familyOf(first.address);
  for (const frontend of route.frontends) {
    if (familyOf(frontend.address) !== family) return 'frontends must be of one family';
    if (frontend.protocol !== first.protocol) return 'frontends must be of one protocol';
    if (!isPort(frontend.port)) return `frontend port must be 1-65535: current value is ${String(frontend.port)}`;
  }
  let previous: Route['backends'][number] | undefined;
  for (const backend of route.backends) {
    const text = `${backend.address} port ${String(backend.port)}`;
    if (familyOf(backend.address) !== family) return `backend ${text} must be of the frontends' family`;
    if (!isPort(backend.port)) return `backend port must be 1-65535: current value is ${String(backend.port)}`;
    if (previous !== undefined && compareRouteBackends(previous, backend) >= 0) {
      return `backends must be sorted without duplicates: ${text} is out of place`;
    }
    previous = backend;
  }
  const seconds = route.sessionAffinitySeconds;
  return Number.isInteger(seconds) && seconds >= 0
    ? undefined
    : `session affinity must be whole seconds: current value is ${String(seconds)}`;
}

/** Why this whole table breaks the contract (a bad route, or one frontend in two places), or undefined. */
export function faultOfRoutes(routes: Routes): string | undefined {
  const owners = new Map<string, ServiceKey>();
  for (const [service, serviceRoutes] of routes) {
    for (const route of serviceRoutes) {
      const fault = faultOfRoute(route);
      if (fault !== undefined) return `service "${service}": ${fault}`;
      for (const frontend of route.frontends) {
        const id = frontendId(frontend);
        const owner = owners.get(id);
        if (owner !== undefined) return `frontend ${id} is in service "${owner}" and in service "${service}"`;
        owners.set(id, service);
      }
    }
  }
  return undefined;
}
