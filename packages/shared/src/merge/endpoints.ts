/**
 * Joins the EndpointSlices of one Service. While endpoints move between slices an address may stand in two of them:
 * the better state wins and the ports are united, so that the order of slices and events does not matter.
 *
 * A slice that is labelled headless is no proxy's business, as kube-proxy has it: it counts only for a Service without
 * cluster IPs, which nobody proxies. That holds in other clusters too, whose agents are proxies, and so for the export.
 */
import { sortByIp } from '../model/ip.ts';
import { compareText } from '../model/order.ts';
import type { BackendPort, LocalEndpoint, LocalEndpointSlice, LocalService } from '../model/service.ts';

/** Sorted by address. `service` is undefined while there is none of the name that the slices give. */
export function endpointsOf(
  service: Pick<LocalService, 'clusterIps'> | undefined,
  slices: Iterable<LocalEndpointSlice>,
): readonly LocalEndpoint[] {
  const proxied = service !== undefined && service.clusterIps.length > 0;
  const byAddress = new Map<string, LocalEndpoint>();
  const inOrder = [...slices]
    .filter(({ headless }) => !(headless && proxied))
    .sort((a, b) => compareText(a.key, b.key));
  for (const endpoint of inOrder.flatMap((slice) => slice.endpoints)) {
    const known = byAddress.get(endpoint.address);
    byAddress.set(endpoint.address, known ? joinEndpoints(known, endpoint) : endpoint);
  }
  return sortByIp([...byAddress.values()], ({ address }) => address);
}

function joinEndpoints(a: LocalEndpoint, b: LocalEndpoint): LocalEndpoint {
  const better = rank(b) > rank(a) ? b : a;
  return { ...better, ports: unitePorts(a.ports, b.ports) };
}

const rank = (endpoint: LocalEndpoint): number => (endpoint.ready ? 2 : 0) + (endpoint.serving ? 1 : 0);

function unitePorts(a: readonly BackendPort[], b: readonly BackendPort[]): readonly BackendPort[] {
  const united = new Map([...a, ...b].map((port) => [`${port.name} ${port.protocol} ${port.port}`, port]));
  return [...united.values()].sort(
    (x, y) => x.port - y.port || compareText(x.protocol, y.protocol) || compareText(x.name, y.name),
  );
}
