/** From decisions to the kernel's orders: one `Route` for each group that has a frontend. */
import { sortByIp } from '../model/ip.ts';
import type { Route, ServiceRoutes } from '../model/routes.ts';
import type { FrontendGroup, ServiceEntry } from '../model/service-table.ts';

/** Undefined: not ours to serve; whatever the kernel has of it goes. */
export function routesOf({ service, programmed, groups }: ServiceEntry): ServiceRoutes | undefined {
  if (!service || !programmed) return undefined;
  const routes = groups.filter(({ frontends }) => frontends.length > 0).map((group) => routeOf(group, service));
  return routes.length > 0 ? routes : undefined;
}

function routeOf({ frontends, decisions }: FrontendGroup, service: { readonly sessionAffinitySeconds: number }): Route {
  const backends = decisions
    .filter(({ verdict }) => verdict === 'selected')
    .map(({ backend: { address, port, cluster } }) => ({ address, port, clusterId: cluster.id }))
    .sort((a, b) => a.port - b.port);
  return {
    frontends,
    backends: sortByIp(backends, ({ address }) => address),
    sessionAffinitySeconds: service.sessionAffinitySeconds,
  };
}
