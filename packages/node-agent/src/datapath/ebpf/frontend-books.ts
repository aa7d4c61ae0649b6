/**
 * Which Service has which frontends here, and what of its routes concerns the socket hooks: TCP and UDP at real
 * addresses. NodePorts (the unspecified address) are nftables' part, SCTP has no such hook: both are passed over in
 * silence. A route that cannot be right is reported, and what is in force for its frontends stays.
 */
import { familyOf, type IpAddress } from '@tombolo/shared/model/ip.ts';
import type { Route, ServiceRoutes } from '@tombolo/shared/model/routes.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import type { DesiredFrontend, PlanFailure } from './planner.ts';

/** What one Service asks for. */
export interface Claim {
  readonly desired: readonly DesiredFrontend[];
  readonly failures: readonly PlanFailure[];
}

export class FrontendBooks {
  readonly #owned = new Map<ServiceKey, readonly Frontend[]>();
  readonly #owners = new Map<string, ServiceKey>();

  /**
   * Strikes out what a Service had, and returns it. Where several Services change at once, strike all out before any
   * enters again: then a frontend can move from one to another.
   */
  strike(key: ServiceKey): readonly Frontend[] {
    const frontends = this.#owned.get(key) ?? [];
    for (const frontend of frontends) this.#owners.delete(frontendId(frontend));
    this.#owned.delete(key);
    return frontends;
  }

  enter(key: ServiceKey, routes: ServiceRoutes): Claim {
    const owned: Frontend[] = [];
    const desired: DesiredFrontend[] = [];
    const failures: PlanFailure[] = [];
    for (const { frontends, backends, sessionAffinitySeconds } of routes.map(servedPart)) {
      const fault = faultOf(frontends, backends, sessionAffinitySeconds);
      for (const frontend of frontends) {
        const id = frontendId(frontend);
        const owner = this.#owners.get(id);
        if (owner === undefined) {
          this.#owners.set(id, key);
          owned.push(frontend);
        }
        const reason = owner === undefined ? fault : `frontend is given twice: service "${owner}" has it`;
        if (reason === undefined) desired.push({ frontend, backends, sessionAffinitySeconds });
        else failures.push({ frontend, reason });
      }
    }
    if (owned.length > 0) this.#owned.set(key, owned);
    return { desired, failures };
  }

  has(frontend: Frontend): boolean {
    return this.#owners.has(frontendId(frontend));
  }
}

function servedPart(route: Route): Route {
  const isServed = ({ kind, protocol }: Frontend): boolean => kind !== 'NodePort' && protocol !== 'SCTP';
  return route.frontends.every(isServed) ? route : { ...route, frontends: route.frontends.filter(isServed) };
}

function faultOf(
  frontends: Route['frontends'],
  backends: Route['backends'],
  affinitySeconds: number,
): string | undefined {
  const [first] = frontends;
  if (!first) return undefined;
  const family = familyOf(first.address);
  for (const { address, port } of [...frontends, ...backends]) {
    if (familyOf(address) !== family) return `address ${address} must be of the family of ${first.address}`;
    if (!(Number.isInteger(port) && port >= 1 && port <= 65535))
      return `port must be 1-65535: current value is ${port}`;
    if (isMapped(address)) return `address must not be an IPv4-mapped IPv6 address: current value is ${address}`;
  }
  return Number.isInteger(affinitySeconds) && affinitySeconds >= 0 && affinitySeconds < 2 ** 32
    ? undefined
    : `session affinity must be whole seconds: current value is ${affinitySeconds}`;
}

/** In the maps an IPv4 address and its IPv6-mapped form are the same. */
const isMapped = (address: IpAddress): boolean => address.startsWith('::ffff:') && address.includes('.');
