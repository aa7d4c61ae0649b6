/**
 * The addresses at which a Service is reached here, grouped so that each group makes one choice of backends: by service
 * port and family, and by traffic policy where the internal and the external one differ.
 */
import { familyOf, type IpAddress, type IpFamily, ip } from '../model/ip.ts';
import type { LocalService, ServicePort, TrafficPolicy } from '../model/service.ts';
import type { Frontend } from '../model/service-table.ts';

export interface GroupShape {
  readonly port: ServicePort;
  readonly family: IpFamily;
  readonly policy: TrafficPolicy;
  readonly frontends: readonly Frontend[];
}

const FAMILIES: readonly IpFamily[] = [4, 6];
const ANY_ADDRESS: Readonly<Record<IpFamily, IpAddress>> = { 4: ip('0.0.0.0'), 6: ip('::') };

/** Every frontend that a Service asks for. */
export const frontendsOf = (service: LocalService): readonly Frontend[] =>
  groupShapes(service, new Set()).flatMap(({ frontends }) => frontends);

/** `offered`: of a headless Service the families of its backends, for which it has groups without frontends. */
export function groupShapes(service: LocalService, offered: ReadonlySet<IpFamily>): readonly GroupShape[] {
  return service.ports.flatMap((port) =>
    FAMILIES.flatMap((family): readonly GroupShape[] => {
      const internal = {
        port,
        family,
        policy: service.internalTrafficPolicy,
        frontends: internalFrontends(service, port, family),
      };
      const external = {
        port,
        family,
        policy: service.externalTrafficPolicy,
        frontends: externalFrontends(service, port, family),
      };
      if (internal.policy === external.policy) internal.frontends.push(...external.frontends.splice(0));
      const reached = [internal, external].filter((shape) => shape.frontends.length > 0);
      return offered.has(family) ? [internal] : reached;
    }),
  );
}

const frontend = (kind: Frontend['kind'], address: IpAddress, { protocol }: ServicePort, port: number): Frontend => ({
  kind,
  address,
  port,
  protocol,
});

function internalFrontends(service: LocalService, port: ServicePort, family: IpFamily): Frontend[] {
  return ofFamily(service.clusterIps, family).map((address) => frontend('ClusterIP', address, port, port.port));
}

/** None in a family in which the Service has no cluster IP: it has no endpoints there, and kube-proxy does not serve it. */
function externalFrontends(service: LocalService, port: ServicePort, family: IpFamily): Frontend[] {
  if (ofFamily(service.clusterIps, family).length === 0) return [];
  const addresses = [
    // What a load balancer was given counts as that, though the Service may ask for it besides.
    ...ofFamily(service.externalIps, family)
      .filter((address) => !service.loadBalancerIps.includes(address))
      .map((address) => frontend('ExternalIP', address, port, port.port)),
    ...ofFamily(service.loadBalancerIps, family).map((address) => frontend('LoadBalancer', address, port, port.port)),
  ];
  if (port.nodePort > 0) addresses.push(frontend('NodePort', ANY_ADDRESS[family], port, port.nodePort));
  return addresses;
}

const ofFamily = (addresses: readonly IpAddress[], family: IpFamily): readonly IpAddress[] =>
  addresses.filter((address) => familyOf(address) === family);
