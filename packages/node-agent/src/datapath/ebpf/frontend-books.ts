/**
 * Which Service has which frontends here, and what of its routes concerns the socket hooks: TCP and UDP at real
 * addresses. NodePorts (the unspecified address) are nftables' part, SCTP has no such hook: both are passed over in
 * silence. A route that breaks its contract is reported, and what is in force for its frontends stays.
 */
import type { Route, ServiceRoutes } from '@tombolo/shared/model/routes.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';
import { faultOfRoute, frontendId } from '../route-checks.ts';
import type { DesiredFrontend, PlanFailure } from './planner.ts';

export interface Demand {
  readonly desired: readonly DesiredFrontend[];
  /** Frontends that no Service has any more. */
  readonly unwanted: readonly Frontend[];
  readonly failures: readonly PlanFailure[];
}

export class FrontendBooks {
  readonly #owned = new Map<ServiceKey, readonly Frontend[]>();
  readonly #owners = new Map<string, ServiceKey>();

  /** Enters changes; a frontend may move from one changed Service to another. */
  enter(changes: Iterable<readonly [ServiceKey, ServiceRoutes | undefined]>): Demand {
    const list = [...changes];
    const released = list.flatMap(([key]) => this.#release(key));
    const desired: DesiredFrontend[] = [];
    const failures: PlanFailure[] = [];
    for (const [key, routes] of list) {
      const claimed: Frontend[] = [];
      for (const { frontends, route, fault } of (routes ?? []).map(servedPart)) {
        for (const frontend of frontends) {
          const reason = fault ?? this.#claim(key, frontend);
          if (reason === undefined) desired.push({ ...route, frontend });
          else failures.push({ frontend, reason });
          if (fault !== undefined) this.#claim(key, frontend);
          claimed.push(frontend);
        }
      }
      if (claimed.length > 0) this.#owned.set(key, claimed);
    }
    return { desired, unwanted: released.filter((frontend) => !this.has(frontend)), failures };
  }

  has(frontend: Frontend): boolean {
    return this.#owners.has(frontendId(frontend));
  }

  #release(key: ServiceKey): readonly Frontend[] {
    const frontends = (this.#owned.get(key) ?? []).filter((frontend) => this.#owners.get(frontendId(frontend)) === key);
    for (const frontend of frontends) this.#owners.delete(frontendId(frontend));
    this.#owned.delete(key);
    return frontends;
  }

  /** Why this Service cannot have the frontend, or undefined when it is now its own. */
  #claim(key: ServiceKey, frontend: Frontend): string | undefined {
    const owner = this.#owners.get(frontendId(frontend));
    if (owner !== undefined) return `frontend is given twice: service "${owner}" has it`;
    this.#owners.set(frontendId(frontend), key);
    return undefined;
  }
}

function servedPart(route: Route) {
  const frontends = route.frontends.filter(({ kind, protocol }) => kind !== 'NodePort' && protocol !== 'SCTP');
  return {
    frontends,
    route,
    fault: frontends.length > 0 ? (faultOfRoute(route) ?? faultOfAddresses(route)) : undefined,
  };
}

/** In the maps an IPv4 address and its IPv6-mapped form are the same. */
function faultOfAddresses({ frontends, backends }: Route): string | undefined {
  const mapped = [...frontends, ...backends].find(
    ({ address }) => address.startsWith('::ffff:') && address.includes('.'),
  );
  return mapped && `address must not be an IPv4-mapped IPv6 address: current value is ${mapped.address}`;
}
