/** Routes for tests, from short texts: `service('10.96.0.1:80', ['10.200.0.1:8080'])`. */
import { ip } from '@tombolo/shared/model/ip.ts';
import { compareRouteBackends, type Route, type RouteBackend, type Routes } from '@tombolo/shared/model/routes.ts';
import { type Protocol, type ServiceKey, serviceKey } from '@tombolo/shared/model/service.ts';

function split(text: string): { address: ReturnType<typeof ip>; port: number } {
  const colon = text.lastIndexOf(':');
  return { address: ip(text.slice(0, colon).replace(/^\[|\]$/g, '')), port: Number(text.slice(colon + 1)) };
}

const backends = (texts: readonly string[], clusterId = 1): readonly RouteBackend[] =>
  texts.map((text) => ({ ...split(text), clusterId })).sort(compareRouteBackends);

export interface RouteExtras {
  readonly protocol?: Protocol;
  readonly affinity?: number;
}

export function route(
  frontend: string,
  to: readonly string[],
  { protocol = 'TCP', affinity = 0 }: RouteExtras = {},
): Route {
  return {
    frontends: [{ kind: 'ClusterIP', ...split(frontend), protocol }],
    backends: backends(to),
    sessionAffinitySeconds: affinity,
  };
}

/** One Service with these routes, as a change or a whole table. */
export const only = (...routes: readonly Route[]): Routes => new Map([[KEY, routes]]);

export const KEY: ServiceKey = serviceKey('default', 'web');
