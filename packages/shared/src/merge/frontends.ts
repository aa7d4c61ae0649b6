/**
 * The addresses at which a Service is reached here, grouped so that each group makes one choice of backends: by service
 * port and family, and by traffic policy where the internal and the external one differ. Under externalTrafficPolicy
 * Local, clients inside the cluster are led to every backend all the same, as kube-proxy does: their traffic would not
 * leave the node for a load balancer to choose another.
 */
import { familyOf, type IpAddress, type IpFamily, ip } from '../model/ip.ts';
import type { LocalService, ServicePort, TrafficPolicy } from '../model/service.ts';
import type { Clients, Frontend } from '../model/service-table.ts';

export interface GroupShape {
  readonly port: ServicePort;
  readonly family: IpFamily;
  readonly policy: TrafficPolicy;
  readonly clients: Clients;
  readonly frontends: readonly Frontend[];
}

const FAMILIES: readonly IpFamily[] = [4, 6];
const ANY_ADDRESS: Readonly<Record<IpFamily, IpAddress>> = { 4: ip('0.0.0.0'), 6: ip('::') };

/** Every frontend that a Service asks for. */
export const frontendsOf = (service: LocalService): readonly Frontend[] =>
  groupShapes(service, new Set()).flatMap(({ clients, frontends }) => (clients === 'outside' ? [] : frontends));

/** `offered`: of a headless Service the families of its backends, for which it has groups without frontends. */
export function groupShapes(service: LocalService, offered: ReadonlySet<IpFamily>): readonly GroupShape[] {
  return service.ports.flatMap((port) =>
    FAMILIES.flatMap((family): readonly GroupShape[] => {
      const { internalTrafficPolicy: internal, externalTrafficPolicy: external } = service;
      const own = internalFrontends(service, port, family);
      const reachable = externalFrontends(service, port, family);
      const shape = (policy: TrafficPolicy, clients: Clients, frontends: readonly Frontend[]): GroupShape => ({
        ...{ port, family, policy, clients, frontends },
      });
      if (offered.has(family)) return [shape(internal, 'all', own)];
      // Of all that is not Local there is one choice.
      const together = internal === 'Cluster' && external === 'Cluster';
      const shapes = [shape(internal, 'all', together ? [...own, ...reachable] : own)];
      if (external === 'Local')
        shapes.push(shape('Cluster', 'inside', reachable), shape('Local', 'outside', reachable));
      else if (!together) shapes.push(shape(external, 'all', reachable));
      return shapes.filter(({ frontends }) => frontends.length > 0);
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
