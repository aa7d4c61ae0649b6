/**
 * Which Service a frontend belongs to, and so what a change of Services means for frontends. Pure but for its memory. A
 * frontend that was found in the kernel has no owner until a Service claims it; until then only `replace` removes it.
 */
import type { RouteChanges, ServiceRoutes } from '@tombolo/shared/model/routes.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import type { ApplyReport } from '../datapath.ts';
import { faultOfRoute } from '../route-checks.ts';
import type { Served } from './slots.ts';

export type Failure = ApplyReport['failures'][number];

export interface FrontendChanges {
  readonly changes: ReadonlyMap<string, Served | undefined>;
  readonly failures: readonly Failure[];
}

export class Ownership {
  readonly #owners = new Map<string, ServiceKey>();
  readonly #frontends = new Map<ServiceKey, readonly string[]>();

  get services(): Iterable<ServiceKey> {
    return this.#frontends.keys();
  }

  /** Takes Services over in the order of their keys: of two that claim one frontend, the one that has it keeps it. */
  change(services: RouteChanges): FrontendChanges {
    const changes = new Map<string, Served | undefined>();
    const failures: Failure[] = [];
    const sorted = [...services].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [service, routes] of sorted)
      for (const id of this.#release(service, routes ?? [])) changes.set(id, undefined);
    for (const [service, routes] of sorted) {
      if (routes === undefined) continue;
      const held: string[] = [];
      for (const route of routes) {
        const fault = faultOfRoute(route);
        for (const frontend of route.frontends) {
          const id = frontendId(frontend);
          const owner = this.#owners.get(id) ?? service;
          if (owner !== service) failures.push({ frontend, reason: `service "${owner}" has this frontend already` });
          else if (held.includes(id)) failures.push({ frontend, reason: 'the Service has this frontend twice' });
          else {
            this.#owners.set(id, service);
            held.push(id);
            if (fault !== undefined) failures.push({ frontend, reason: fault });
            else changes.set(id, servedOf(frontend, route));
          }
        }
      }
      this.#frontends.set(service, held);
    }
    return { changes, failures };
  }

  /** Gives up the frontends that this Service does not have any more, and answers them. */
  #release(service: ServiceKey, routes: ServiceRoutes): readonly string[] {
    const keep = new Set(routes.flatMap((route) => route.frontends.map(frontendId)));
    const gone = (this.#frontends.get(service) ?? []).filter((id) => !keep.has(id));
    for (const id of gone) this.#owners.delete(id);
    this.#frontends.delete(service);
    return gone;
  }
}

const servedOf = (frontend: Frontend, { backends, sessionAffinitySeconds }: ServiceRoutes[number]): Served => ({
  frontend,
  backends,
  affinitySeconds: sessionAffinitySeconds,
});
