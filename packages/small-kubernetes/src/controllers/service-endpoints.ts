/**
 * Which pods are behind a Service, and at which ports: the facts that EndpointSlices and Endpoints are written from.
 * Pure. Named target ports are looked up in each pod, so pods of one Service may differ in their ports.
 */
import { isTrue, type Pod, type Service, type ServicePort } from '../api/kinds/typed.ts';
import type { JsonObject } from '../api/objects.ts';

export type AddressType = 'IPv4' | 'IPv6';

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

export interface ServiceEndpoint {
  readonly addressType: AddressType;
  readonly ports: readonly EndpointPort[];
  readonly endpoint: Endpoint;
}

export type ZoneOf = (nodeName: string) => string | undefined;

/** In the order of pod names, family by family. */
export function endpointsOf(service: Service, pods: readonly Pod[], zoneOf: ZoneOf): ServiceEndpoint[] {
  const sorted = [...pods].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  return addressTypesOf(service).flatMap((addressType) =>
    sorted.flatMap((pod) => {
      const address = addressOf(pod, addressType);
      if (address === undefined || hasEnded(pod)) return [];
      return [{ addressType, ports: portsOf(service, pod), endpoint: endpointOf(service, pod, address, zoneOf) }];
    }),
  );
}

export function addressTypesOf({ spec }: Service): AddressType[] {
  const families = spec.ipFamilies ?? [];
  return families.length === 0 ? ['IPv4'] : families.map((family) => (family === 'IPv6' ? 'IPv6' : 'IPv4'));
}

const hasEnded = ({ status }: Pod): boolean => status.phase === 'Succeeded' || status.phase === 'Failed';

function addressOf({ status }: Pod, addressType: AddressType): string | undefined {
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
    if (port === undefined) return [];
    const { name = '', protocol = 'TCP', appProtocol } = servicePort;
    return [{ name, port, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) }];
  });
}

function targetPortOf({ targetPort, port, protocol = 'TCP' }: ServicePort, { spec }: Pod): number | undefined {
  if (targetPort === undefined || targetPort === 0) return port;
  if (typeof targetPort === 'number') return targetPort;
  for (const container of spec.containers) {
    const named = container.ports?.find((p) => p.name === targetPort && (p.protocol ?? 'TCP') === protocol);
    if (named) return named.containerPort;
  }
  return undefined;
}

/** The `subsets` of the older Endpoints object: by ports, ready addresses apart from those that are not. */
export function subsetsOf(endpoints: readonly ServiceEndpoint[], primary: AddressType): JsonObject[] {
  const groups = new Map<string, { ports: readonly EndpointPort[]; ready: JsonObject[]; notReady: JsonObject[] }>();
  for (const { addressType, ports, endpoint } of endpoints) {
    if (addressType !== primary || (endpoint.conditions.terminating && !endpoint.conditions.ready)) continue;
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, ready: [], notReady: [] };
    groups.set(key, group);
    const { addresses, targetRef, nodeName, hostname } = endpoint;
    const address = {
      ip: addresses[0],
      targetRef,
      ...(nodeName ? { nodeName } : {}),
      ...(hostname ? { hostname } : {}),
    };
    (endpoint.conditions.ready ? group.ready : group.notReady).push(address);
  }
  return [...groups.values()].map(({ ports, ready, notReady }) => ({
    ...(ready.length > 0 ? { addresses: ready } : {}),
    ...(notReady.length > 0 ? { notReadyAddresses: notReady } : {}),
    ports: ports.map(({ name, ...port }) => (name === '' ? port : { name, ...port })),
  }));
}
