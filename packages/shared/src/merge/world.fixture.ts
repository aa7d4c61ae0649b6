/** Small random worlds for property tests: few addresses, ports and names, so that they collide often. */
import fc from 'fast-check';
import type { ClusterIdentity, ClusterName } from '../model/cluster.ts';
import { type IpAddress, ip } from '../model/ip.ts';
import {
  type BackendPort,
  type LocalEndpoint,
  type LocalEndpointSlice,
  type LocalService,
  type RemoteBackend,
  type RemoteContribution,
  serviceKey,
} from '../model/service.ts';

export const KEY = serviceKey('shop', 'cart');
export const EAST: ClusterIdentity = { name: 'east' as ClusterName, id: 1 };
export const REMOTES: readonly ClusterIdentity[] = [
  { name: 'north' as ClusterName, id: 2 },
  { name: 'west' as ClusterName, id: 3 },
];

export interface World {
  readonly service: LocalService | undefined;
  readonly slices: readonly LocalEndpointSlice[];
  readonly remotes: readonly RemoteContribution[];
}

const ORIGIN = { source: 'kubernetes', revision: '1', at: 0 } as const;
const address: fc.Arbitrary<IpAddress> = fc
  .constantFrom('10.1.0.1', '10.1.0.2', '10.1.0.10', '127.0.0.1', 'fd00::1', 'fd00::2')
  .map(ip);
const protocol = fc.constantFrom('TCP' as const, 'UDP' as const);
const portName = fc.constantFrom('', 'http', 'metrics');
const backendPorts: fc.Arbitrary<BackendPort[]> = fc.array(
  fc.record({ name: portName, protocol, port: fc.constantFrom(80, 8080) }),
  { maxLength: 3 },
);
const policy = fc.constantFrom('Cluster' as const, 'Local' as const);

export const anyService: fc.Arbitrary<LocalService> = fc.record({
  key: fc.constant(KEY),
  uid: fc.constant('uid'),
  createdAt: fc.constant(''),
  global: fc.boolean(),
  shared: fc.boolean(),
  affinity: fc.constantFrom('none' as const, 'local' as const, 'remote' as const),
  clusterIps: fc.constantFrom([], ['10.96.0.1'], ['10.96.0.1', 'fd00:96::1']).map((ips) => ips.map(ip)),
  externalIps: fc.constantFrom([], ['192.0.2.7']).map((ips) => ips.map(ip)),
  loadBalancerIps: fc.constant([]),
  sourceRanges: fc.constant([]),
  ports: fc.constantFrom(
    [{ name: '', protocol: 'TCP' as const, port: 80, nodePort: 0 }],
    [
      { name: 'http', protocol: 'TCP' as const, port: 80, nodePort: 30080 },
      { name: 'metrics', protocol: 'UDP' as const, port: 90, nodePort: 0 },
    ],
  ),
  sessionAffinitySeconds: fc.constant(0),
  internalTrafficPolicy: policy,
  externalTrafficPolicy: policy,
  healthCheckNodePort: fc.constant(0),
  labels: fc.constant({}),
  selector: fc.constant({}),
  origin: fc.constant(ORIGIN),
});

const endpoint: fc.Arbitrary<LocalEndpoint> = fc.record({
  address,
  ports: backendPorts,
  ready: fc.boolean(),
  serving: fc.boolean(),
  terminating: fc.boolean(),
  node: fc.constantFrom('node-1', 'node-2'),
  zone: fc.constant('z'),
  zoneHints: fc.constant([]),
  nodeHints: fc.constant([]),
  hostname: fc.constant(''),
  origin: fc.constant(ORIGIN),
});

export const anySlice: fc.Arbitrary<LocalEndpointSlice> = fc.record({
  key: fc.constantFrom('shop/cart-a', 'shop/cart-b'),
  service: fc.constant(KEY),
  headless: fc.boolean(),
  endpoints: fc.uniqueArray(endpoint, { maxLength: 4, selector: (each) => each.address }),
});

const remoteBackend: fc.Arbitrary<RemoteBackend> = fc.record({
  address,
  ports: backendPorts,
  zone: fc.constant(''),
});

export const anyRemote = (cluster: ClusterIdentity): fc.Arbitrary<RemoteContribution> =>
  fc.record({
    cluster: fc.constant(cluster),
    view: fc.constantFrom({ kind: 'synced' as const }, { kind: 'stale' as const, since: 5 }),
    service: fc.record({
      key: fc.constant(KEY),
      shared: fc.boolean(),
      terminating: fc.constant(false),
      frontendPorts: fc.constant([]),
      backends: fc.uniqueArray(remoteBackend, { maxLength: 4, selector: (each) => each.address }),
      origin: fc.constant({ source: 'etcd' as const, revision: '7', at: 0 }),
    }),
  });

export const anyWorld: fc.Arbitrary<World> = fc.record({
  service: fc.option(anyService, { nil: undefined, freq: 8 }),
  slices: fc.uniqueArray(anySlice, { maxLength: 2, selector: (each) => each.key }),
  remotes: fc
    .tuple(...REMOTES.map((cluster) => fc.option(anyRemote(cluster), { nil: undefined })))
    .map((remotes) => remotes.filter((remote) => remote !== undefined)),
});
