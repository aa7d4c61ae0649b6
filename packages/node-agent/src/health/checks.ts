/**
 * Which health checks of LoadBalancer Services this node answers, decided from the table. Pure.
 *
 * A Service with externalTrafficPolicy Local has a port at which load balancers ask each node whether it has endpoints of
 * it. As in kube-proxy, what counts is on this node and ready: a node with nothing but terminating endpoints still serves,
 * but shall get nothing new. Each family counts for itself. Backends of other clusters are on no node of ours.
 */
import type { ServiceScope } from '@tombolo/shared/merge/context.ts';
import { isProgrammed } from '@tombolo/shared/merge/merge-service.ts';
import { isServedBy } from '@tombolo/shared/merge/port-match.ts';
import { familyOf, type IpFamily } from '@tombolo/shared/model/ip.ts';
import type { LocalEndpoint, ServiceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts } from '@tombolo/shared/model/service-table.ts';

export interface HealthCheck {
  readonly service: ServiceKey;
  readonly port: number;
  /** Addresses, not address and port: a pod with two ports counts once. */
  readonly endpoints: Readonly<Record<IpFamily, number>>;
}

export interface Here {
  readonly node: string;
  readonly scope: ServiceScope;
}

/** Undefined when the Service has none, or is not ours to serve. */
export function healthCheckOf(facts: ServiceFacts, here: Here): HealthCheck | undefined {
  const { key, service, endpoints } = facts;
  if (!service || !isProgrammed(here, facts) || service.healthCheckNodePort === 0) return undefined;
  const serves = ({ ports }: LocalEndpoint): boolean =>
    ports.some((offered) => service.ports.some((port) => isServedBy(port, offered)));
  const ready = endpoints.filter((endpoint) => endpoint.ready && endpoint.node === here.node && serves(endpoint));
  const addresses = [...new Set(ready.map(({ address }) => address))];
  const count = (family: IpFamily): number => addresses.filter((address) => familyOf(address) === family).length;
  return { service: key, port: service.healthCheckNodePort, endpoints: { 4: count(4), 6: count(6) } };
}

/** While a port passes from one Service to another both may have it: the one whose key sorts first is answered for. */
export function checksByPort(checks: Iterable<HealthCheck>): ReadonlyMap<number, HealthCheck> {
  const byPort = new Map<number, HealthCheck>();
  for (const check of checks) {
    const other = byPort.get(check.port);
    if (!other || check.service < other.service) byPort.set(check.port, check);
  }
  return byPort;
}
