/**
 * The etcd entries of a cluster as Cilium 1.20's clustermesh-apiserver writes them, and the local Services that use
 * them. Pure; our own encoder is not used, for what is measured should not depend on it.
 */
import type { Manifest } from '@tombolo/machine/kubernetes/objects.ts';

/** The one whose backends are many. */
export const LARGE = 'large';
const PREFIXES = ['nodes', 'identities', 'ip', 'services'].map((kind) => `cilium/state/${kind}/v1`);
/** As in the entries that Cilium was seen to write. */
const PORTS = { http: { Protocol: 'TCP', Port: 8080 }, metrics: { Protocol: 'TCP', Port: 9090 } } as const;

export interface RemoteCluster {
  readonly name: string;
  readonly id: number;
}

export interface ServiceShape {
  readonly backends: number;
  /** Which of its backends is missing; undefined: none. */
  readonly without?: number;
}

export type Entry = readonly [key: string, value: string];

/** What a writer says of itself; the canaries are due when all else is there. */
export const configEntry = ({ name, id }: RemoteCluster): Entry => [
  `cilium/cluster-config/${name}`,
  JSON.stringify({
    id,
    capabilities: { syncedCanaries: true, maxConnectedClusters: 255, serviceExportsEnabled: false },
  }),
];

export const canaryEntries = ({ name }: RemoteCluster, now: string): readonly Entry[] =>
  PREFIXES.map((prefix) => [`cilium/synced/${name}/${prefix}`, now]);

export const heartbeatEntry = (now: string): Entry => ['cilium/.heartbeat', now];

export const servicesPrefix = ({ name }: RemoteCluster): string => `cilium/state/services/v1/${name}/`;

const namespaceOf = (service: number): string => `team-${service % 100}`;
const nameOf = (service: number): string => `service-${service}`;
export const NAMESPACES: readonly string[] = Array.from({ length: 100 }, (_, i) => namespaceOf(i));

/** Service by number. Its addresses are nobody else's. */
export function serviceEntry(cluster: RemoteCluster, service: number, shape: ServiceShape): Entry {
  const first = service * shape.backends;
  const selector = { 'app.kubernetes.io/name': nameOf(service), 'app.kubernetes.io/part-of': namespaceOf(service) };
  return entry(cluster, namespaceOf(service), nameOf(service), numbered(172, 20, service), selector, first, shape);
}

export const largeEntry = (cluster: RemoteCluster, shape: ServiceShape): Entry =>
  entry(cluster, 'default', LARGE, '172.20.255.1', { app: LARGE }, 90 << 16, shape);

function entry(
  cluster: RemoteCluster,
  namespace: string,
  name: string,
  frontend: string,
  labels: Readonly<Record<string, string>>,
  first: number,
  { backends, without }: ServiceShape,
): Entry {
  const numbers = Array.from({ length: backends }, (_, i) => i).filter((i) => i !== without);
  const address = (i: number): string => numbered(10, 128, first + i);
  const value = {
    cluster: cluster.name,
    namespace,
    name,
    frontends: { [frontend]: { http: { Protocol: 'TCP', Port: 80 }, metrics: { Protocol: 'TCP', Port: 9090 } } },
    // Go writes the keys of a map in the order of their text.
    backends: Object.fromEntries(
      numbers
        .map(address)
        .sort()
        .map((each) => [each, PORTS]),
    ),
    labels,
    selector: labels,
    includeExternal: true,
    shared: true,
    clusterID: cluster.id,
  };
  return [`${servicesPrefix(cluster)}${namespace}/${name}`, JSON.stringify(value)];
}

const numbered = (first: number, second: number, number: number): string =>
  `${first}.${second + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;

/** The Service here by which those of the others are used, or for which they are not. Nobody makes endpoints for it. */
export const localService = (service: number): Manifest => globalService(namespaceOf(service), nameOf(service));

export const globalService = (namespace: string, name: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace, annotations: { 'service.cilium.io/global': 'true' } },
  spec: {
    ports: [
      { name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' },
      { name: 'metrics', port: 9090, targetPort: 9090, protocol: 'TCP' },
    ],
  },
});

export const namespaceManifest = (name: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name },
});
