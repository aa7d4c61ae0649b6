/** Routes for tests, from short texts: `service('10.96.0.1:80', ['10.200.0.1:8080'])`. */
import { ip } from '@tombolo/shared/model/ip.ts';
import {
  compareRouteBackends,
  type FrontendRoute,
  type RouteBackend,
  type Routes,
} from '@tombolo/shared/model/routes.ts';
import type { Protocol } from '@tombolo/shared/model/service.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';

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
): FrontendRoute {
  return {
    frontend: { kind: 'ClusterIP', ...split(frontend), protocol },
    backends: backends(to),
    sessionAffinitySeconds: affinity,
  };
}

/** These routes, as a change or a whole table. */
export const only = (...routes: readonly FrontendRoute[]): Routes =>
  new Map(routes.map((each) => [frontendId(each.frontend), each]));
