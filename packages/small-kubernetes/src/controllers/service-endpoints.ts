/**
 * Which pods are behind a Service, and at which ports: what its EndpointSlices and Endpoints shall be. Pure. Named
 * target ports are looked up in each pod, so pods of one Service may differ in their ports, and then in their slice.
 */
import { isTrue, type Pod, type Service, type ServicePort } from '../api/kinds/typed.ts';
import type { JsonObject } from '../api/objects.ts';

export const MOST_ENDPOINTS = 100;

export interface EndpointPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}

export interface Endpoint {
  readonly addresses: readonly string[];
  readonly conditions: { readonly ready: boolean; readonly serving: boolean; readonly terminating: boolean };
  readonly targetRef: { readonly kind: 'Pod'; readonly namespace: string; readonly name: string; readonly uid: string };
  readonly nodeName?: string;
  readonly zone?: string;
  readonly hostname?: string;
}

export interface SliceContent {
  readonly addressType: string;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

export type ZoneOf = (nodeName: string) => string | undefined;

/** Family by family; without pods one empty slice of each, so that readers see that the Service was looked at. */
export function planSlices(service: Service, pods: readonly Pod[], zoneOf: ZoneOf): SliceContent[] {
  const running = pods.filter(({ status }) => status.phase !== 'Succeeded' && status.phase !== 'Failed');
  return (service.spec.ipFamilies ?? ['IPv4']).flatMap((addressType) => {
    const found = running.flatMap((pod) => {
      const address = addressOf(pod, addressType);
      if (address === undefined) return [];
      return [{ ports: portsOf(service, pod), endpoint: endpointOf(service, pod, address, zoneOf) }];
    });
    const groups = Map.groupBy(found, ({ ports }) => JSON.stringify(ports));
    if (groups.size === 0) return [{ addressType, ports: [], endpoints: [] }];
    return [...groups.values()].flatMap((group) => {
      const endpoints = group.map(({ endpoint }) => endpoint);
      const ports = group[0]?.ports ?? [];
      return chunksOf(endpoints).map((chunk) => ({ addressType, ports, endpoints: chunk }));
    });
  });
}

const chunksOf = (endpoints: readonly Endpoint[]): Endpoint[][] =>
  Array.from({ length: Math.ceil(endpoints.length / MOST_ENDPOINTS) }, (_, at) =>
    endpoints.slice(at * MOST_ENDPOINTS, (at + 1) * MOST_ENDPOINTS),
  );

function addressOf({ status }: Pod, addressType: string): string | undefined {
  const all = status.podIPs?.map(({ ip }) => ip) ?? (status.podIP ? [status.podIP] : []);
  return all.find((ip) => ip.includes(':') === (addressType === 'IPv6'));
}

function endpointOf({ metadata, spec }: Service, pod: Pod, address: string, zoneOf: ZoneOf): Endpoint {
  const serving = isTrue(pod.status.conditions, 'Ready');
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const { nodeName, hostname, subdomain } = pod.spec;
  const zone = nodeName === undefined ? undefined : zoneOf(nodeName);
  return {
    addresses: [address],
    conditions: { ready: spec.publishNotReadyAddresses === true || (serving && !terminating), serving, terminating },
    targetRef: { kind: 'Pod', namespace: metadata.namespace ?? '', name: pod.metadata.name, uid: pod.metadata.uid },
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(zone === undefined ? {} : { zone }),
    ...(hostname !== undefined && subdomain === metadata.name ? { hostname } : {}),
  };
}

/** A named target port that the pod does not have is left out. */
function portsOf({ spec }: Service, pod: Pod): EndpointPort[] {
  return (spec.ports ?? []).flatMap((servicePort) => {
    const port = targetPortOf(servicePort, pod);
    const { name = '', protocol = 'TCP', appProtocol } = servicePort;
    return port === undefined ? [] : [{ name, port, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) }];
  });
}

function targetPortOf({ targetPort, port, protocol = 'TCP' }: ServicePort, { spec }: Pod): number | undefined {
  if (typeof targetPort !== 'string') return targetPort || port;
  const ports = spec.containers.flatMap((container) => container.ports ?? []);
  return ports.find((p) => p.name === targetPort && (p.protocol ?? 'TCP') === protocol)?.containerPort;
}

/** The `subsets` of the older Endpoints object: the first family, ready addresses apart from those that are not. */
export function subsetsOf(slices: readonly SliceContent[]): JsonObject[] {
  const primary = slices.filter(({ addressType }) => addressType === slices[0]?.addressType);
  return primary.flatMap(({ ports, endpoints }) => {
    const addressesOf = (list: readonly Endpoint[]) =>
      list.map(({ addresses: [ip], targetRef, nodeName }) => ({ ip, targetRef, ...(nodeName ? { nodeName } : {}) }));
    const present = endpoints.filter(({ conditions }) => conditions.ready || !conditions.terminating);
    const [ready, notReady] = [true, false].map((is) => addressesOf(present.filter((e) => e.conditions.ready === is)));
    if (present.length === 0) return [];
    return [
      {
        ...(ready?.length ? { addresses: ready } : {}),
        ...(notReady?.length ? { notReadyAddresses: notReady } : {}),
        ports: ports.map(({ name, ...port }) => (name === '' ? port : { name, ...port })),
      },
    ];
  });
}
