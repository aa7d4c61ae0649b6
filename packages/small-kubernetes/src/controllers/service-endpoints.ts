/**
 * Which pods are behind a Service, and at which ports: what its EndpointSlices and Endpoints shall be. Pure. Named
 * target ports are looked up in each pod, so pods of one Service may differ in their ports, and then in their slice.
 */
import { isTrue } from '../api/kinds/conditions.ts';
import type { Pod, Service, ServicePort } from '../api/kinds/typed.ts';
import type { JsonObject } from '../api/objects.ts';

export interface SliceContent {
  readonly addressType: string;
  readonly ports: ReturnType<typeof portsOf>;
  readonly endpoints: readonly ReturnType<typeof endpointOf>[];
}

type ZoneOf = (nodeName: string) => string | undefined;

/** Family by family; without pods one empty slice of each, so that readers see that the Service was looked at. */
export function planSlices(service: Service, pods: readonly Pod[], zoneOf: ZoneOf): SliceContent[] {
  return (service.spec.ipFamilies ?? ['IPv4']).flatMap((addressType) => {
    const found = pods.flatMap((pod) => {
      const address = addressOf(pod, addressType);
      if (address === undefined) return [];
      return [{ ports: portsOf(service, pod), endpoint: endpointOf(service, pod, address, zoneOf) }];
    });
    const groups = Map.groupBy(found, ({ ports }) => JSON.stringify(ports));
    if (groups.size === 0) return [{ addressType, ports: [], endpoints: [] }];
    return [...groups.values()].map((group) => {
      const endpoints = group.map(({ endpoint }) => endpoint);
      return { addressType, ports: group[0]?.ports ?? [], endpoints };
    });
  });
}

function addressOf({ status }: Pod, addressType: string): string | undefined {
  return status.podIPs?.find(({ ip }) => ip.includes(':') === (addressType === 'IPv6'))?.ip;
}

function endpointOf({ metadata, spec }: Service, pod: Pod, address: string, zoneOf: ZoneOf) {
  const serving = isTrue(pod.status.conditions, 'Ready');
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const { nodeName } = pod.spec;
  const zone = nodeName === undefined ? undefined : zoneOf(nodeName);
  return {
    addresses: [address],
    conditions: { ready: spec.publishNotReadyAddresses === true || (serving && !terminating), serving, terminating },
    targetRef: { kind: 'Pod', namespace: metadata.namespace ?? '', name: pod.metadata.name, uid: pod.metadata.uid },
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(zone === undefined ? {} : { zone }),
  };
}

/** A named target port that the pod does not have is left out. */
function portsOf({ spec }: Service, pod: Pod) {
  return (spec.ports ?? []).flatMap((servicePort) => {
    const port = targetPortOf(servicePort, pod);
    const { name = '', protocol = 'TCP' } = servicePort;
    return port === undefined ? [] : [{ name, port, protocol }];
  });
}

function targetPortOf({ targetPort, port, protocol = 'TCP' }: ServicePort, { spec }: Pod): number | undefined {
  if (typeof targetPort !== 'string') return targetPort || port;
  const ports = spec.containers.flatMap((container) => container.ports ?? []);
  return ports.find((p) => p.name === targetPort && (p.protocol ?? 'TCP') === protocol)?.containerPort;
}

/** The `subsets` of the older Endpoints object, as far as kubectl shows it: the first family, ready addresses. */
export function subsetsOf(slices: readonly SliceContent[]): JsonObject[] {
  const primary = slices.filter(({ addressType }) => addressType === slices[0]?.addressType);
  return primary.flatMap(({ ports, endpoints }) => {
    const addresses = endpoints
      .filter(({ conditions }) => conditions.ready)
      .map(({ addresses: [ip], targetRef, nodeName }) => ({ ip, targetRef, ...(nodeName ? { nodeName } : {}) }));
    return addresses.length === 0 ? [] : [{ addresses, ports }];
  });
}
