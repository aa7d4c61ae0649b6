/**
 * A table that changes at every step, the same for the process that programs it and for the test that looks at what that
 * left: sets small and large, with affinity and without, Services that come and go. The first is always there.
 */
import { ip } from '@tombolo/shared/model/ip.ts';
import { compareRouteBackends, type RouteBackend, type RouteChanges } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';

const SERVICES = 80;
/** After this many steps the table is the first again. */
const PERIOD = 36;

export const FRONTEND = '10.96.0.1:80';

export const frontendOf = (service: number): Frontend => ({
  kind: 'ClusterIP',
  address: ip(`10.96.0.${service + 1}`),
  port: 80,
  protocol: 'TCP',
});

/** Neighbours in the list of addresses, from a place and of a length that both change; undefined where it is absent. */
function backendsAt(service: number, step: number, addresses: readonly string[]): readonly RouteBackend[] | undefined {
  if (service > 0 && (service + step) % 4 === 0) return undefined;
  const count = 1 + ((service + 5 * step) % addresses.length);
  const chosen = Array.from({ length: count }, (_, i) => addresses[(service + step + i) % addresses.length] ?? '');
  return chosen.map((address) => ({ address: ip(address), port: 8080, clusterId: 1 })).sort(compareRouteBackends);
}

/** All Services as they are at this step; undefined for one that is absent. */
export function changesAt(step: number, addresses: readonly string[]): RouteChanges {
  return new Map(
    Array.from({ length: SERVICES }, (_, service) => {
      const backends = backendsAt(service, step % PERIOD, addresses);
      const sessionAffinitySeconds = (service + step) % 3 === 0 ? 60 : 0;
      const route = backends && { frontend: frontendOf(service), backends, sessionAffinitySeconds };
      return [frontendId(frontendOf(service)), route] as const;
    }),
  );
}

/** By frontend address: each set that it has at some step, as text. */
export function everyState(addresses: readonly string[]): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(
    Array.from({ length: SERVICES }, (_, service) => {
      const sets = Array.from({ length: PERIOD }, (_, step) => backendsAt(service, step, addresses));
      return [frontendOf(service).address, new Set(sets.flatMap((set) => (set ? [textOf(set)] : [])))] as const;
    }),
  );
}

export const textOf = (backends: readonly RouteBackend[]): string =>
  backends
    .map(({ address, port }) => `${address}:${port}`)
    .sort()
    .join(' ');
