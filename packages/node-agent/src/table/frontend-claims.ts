/**
 * One frontend belongs to one Service. Two Services can ask for the same external address and port; the one whose key
 * sorts first has it, whatever the order in which they were heard, and the other gets it when the first lets go.
 */
import type { RouteChanges, ServiceRoutes } from '@tombolo/shared/model/routes.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';

export interface ClaimConflict {
  /** E.g. `192.0.2.1:80/TCP`. */
  readonly frontend: string;
  readonly winner: ServiceKey;
  readonly loser: ServiceKey;
}

export class FrontendClaims {
  readonly #wanted = new Map<ServiceKey, ServiceRoutes>();
  readonly #claimants = new Map<string, Set<ServiceKey>>();
  /** Ids with more than one claimant: hardly ever any, and looked at after each change. */
  readonly #contested = new Set<string>();

  /** What Services want → what they get, for every Service whose share changed. */
  resolve(wanted: RouteChanges): Map<ServiceKey, ServiceRoutes | undefined> {
    const touched = new Set<ServiceKey>(wanted.keys());
    for (const [key, routes] of wanted) {
      for (const id of this.#idsOf(key)) this.#release(id, key, touched);
      if (routes) this.#wanted.set(key, routes);
      else this.#wanted.delete(key);
      for (const id of this.#idsOf(key)) this.#claim(id, key, touched);
    }
    return new Map([...touched].map((key) => [key, this.#share(key)]));
  }

  /** Everything that is in force now. */
  all(): Map<ServiceKey, ServiceRoutes> {
    const shares = [...this.#wanted.keys()].map((key) => [key, this.#share(key)] as const);
    return new Map(shares.flatMap(([key, routes]) => (routes ? [[key, routes] as const] : [])));
  }

  conflicts(): readonly ClaimConflict[] {
    return [...this.#contested].flatMap((id) => {
      const [winner, ...losers] = [...(this.#claimants.get(id) ?? [])].sort();
      return winner ? losers.map((loser) => ({ frontend: id, winner, loser })) : [];
    });
  }

  #claim(id: string, key: ServiceKey, touched: Set<ServiceKey>): void {
    const claimants = this.#claimants.get(id) ?? new Set<ServiceKey>();
    for (const other of claimants) touched.add(other);
    this.#claimants.set(id, claimants.add(key));
    if (claimants.size > 1) this.#contested.add(id);
  }

  #release(id: string, key: ServiceKey, touched: Set<ServiceKey>): void {
    const claimants = this.#claimants.get(id);
    claimants?.delete(key);
    for (const other of claimants ?? []) touched.add(other);
    if (claimants?.size === 0) this.#claimants.delete(id);
    if (claimants && claimants.size < 2) this.#contested.delete(id);
  }

  #idsOf(key: ServiceKey): readonly string[] {
    return (this.#wanted.get(key) ?? []).flatMap(({ frontends }) => frontends.map(frontendId));
  }

  #winner(frontend: Frontend): ServiceKey | undefined {
    const claimants = [...(this.#claimants.get(frontendId(frontend)) ?? [])];
    return claimants.length > 1 ? claimants.sort()[0] : claimants[0];
  }

  #share(key: ServiceKey): ServiceRoutes | undefined {
    const routes = (this.#wanted.get(key) ?? [])
      .map((route) => ({ ...route, frontends: route.frontends.filter((frontend) => this.#winner(frontend) === key) }))
      .filter(({ frontends }) => frontends.length > 0);
    return routes.length > 0 ? routes : undefined;
  }
}
