/**
 * The endpoints of one Service, from all its EndpointSlices. An endpoint is an address, a set of ports and conditions of
 * its own: two of one address (pods on the host's network, or an endpoint that moves between slices) are two.
 *
 * A slice that is labelled headless is no proxy's business, as kube-proxy has it: it counts only for a Service without
 * cluster IPs, which nobody proxies. That holds in other clusters too, whose agents are proxies, and so for the export.
 */
import { compareText } from '../model/order.ts';
import type { LocalEndpoint, LocalEndpointSlice, LocalService } from '../model/service.ts';

/** In the order of the slices' keys. `service` is undefined while there is none of the name that the slices give. */
export function endpointsOf(
  service: Pick<LocalService, 'clusterIps'> | undefined,
  slices: Iterable<LocalEndpointSlice>,
): readonly LocalEndpoint[] {
  const proxied = service !== undefined && service.clusterIps.length > 0;
  return [...slices]
    .filter(({ headless }) => !(headless && proxied))
    .sort((a, b) => compareText(a.key, b.key))
    .flatMap(({ endpoints }) => endpoints);
}

/** Of two that offer the same address and port, the one with the higher rank counts: ready, else still serving. */
export const rankOf = ({ ready, serving }: LocalEndpoint): number => (ready ? 2 : 0) + (serving ? 1 : 0);
