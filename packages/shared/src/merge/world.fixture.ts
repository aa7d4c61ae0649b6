/** Small random worlds for property tests: few addresses, ports and names, so that they collide often. */
import fc from 'fast-check';
import type { ClusterIdentity, ClusterName } from '../model/cluster.ts';
import { cidr, type IpAddress, ip, prefixMatcher } from '../model/ip.ts';
import {
  type BackendPort,
  type LocalEndpoint,
  type LocalEndpointSlice,
  type LocalService,
  type RemoteBackend,
  type RemoteContribution,
  serviceKey,
} from '../model/service.ts';
import type { ServiceFacts } from '../model/service-table.ts';
import type { MergeContext, ServiceScope } from './context.ts';
import { endpointsOf } from './endpoints.ts';

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
  readonly takesPart: boolean;
  readonly here: { readonly node: string; readonly zone: string; readonly scope: ServiceScope };
  /** Text of a prefix, or none. */
  readonly ownRange: string | undefined;
  readonly remotePerFrontend: number;
}

export const contextOf = ({ here, ownRange, remotePerFrontend }: World): MergeContext => ({
  local: EAST,
  ...here,
  ownRanges: prefixMatcher(ownRange === undefined ? [] : [cidr(ownRange)]),
  remotePerFrontend,
});

export const factsOf = ({ service, slices, remotes, takesPart }: World): ServiceFacts => ({
  key: KEY,
  service,
  takesPart,
  endpoints: endpointsOf(service, slices),
  remotes,
  refusedFrontends: new Map(),
});

const ORIGIN = { source: 'kubernetes', revision: '1', at: 0 } as const;
const address: fc.Arbitrary<IpAddress> = fc
  .constantFrom('10.1.0.1', '10.1.0.2', '10.1.0.10', '10.9.0.1', '127.0.0.1', '::ffff:10.1.0.1', 'fd00::1', 'fd00::2')
  .map(ip);
const protocol = fc.constantFrom('TCP' as const, 'UDP' as const);
const portName = fc.constantFrom('', 'http', 'metrics');
const backendPorts: fc.Arbitrary<BackendPort[]> = fc.array(
  fc.record({ name: portName, protocol, port: fc.constantFrom(80, 8080) }),
  { maxLength: 3 },
);
const policy = fc.constantFrom('Cluster' as const, 'Local' as const);

const weights = fc
  .tuple(
    ...[EAST, ...REMOTES].map(({ name }) => fc.integer({ min: -1, max: 3 }).map((weight) => [name, weight] as const)),
  )
  .map((named) => new Map(named.filter(([, weight]) => weight >= 0)))
  .filter((named) => [...named.values()].some((weight) => weight > 0));

export const anyService: fc.Arbitrary<LocalService> = fc.record({
  key: fc.constant(KEY),
  uid: fc.constantFrom('one', 'two'),
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
  staysClose: fc.boolean(),
  clusterWeights: fc.option(weights, { nil: undefined }),
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
  zoneHints: fc.constantFrom([], ['a'], ['a', 'b'], ['b']),
  nodeHints: fc.constantFrom([], [], ['node-1'], ['node-2']),
  hostname: fc.constant(''),
  origin: fc.constant(ORIGIN),
});

export const anySlice: fc.Arbitrary<LocalEndpointSlice> = fc.record({
  key: fc.constantFrom('shop/cart-a', 'shop/cart-b'),
  service: fc.constant(KEY),
  headless: fc.boolean(),
  // Pods on one host's network share its address.
  endpoints: fc.array(endpoint, { maxLength: 4 }),
});

const remoteBackend: fc.Arbitrary<RemoteBackend> = fc.record({
  address,
  ports: backendPorts,
  zone: fc.constantFrom('', 'a', 'b'),
});

export const anyRemote = (cluster: ClusterIdentity): fc.Arbitrary<RemoteContribution> =>
  fc.record({
    cluster: fc.constant(cluster),
    view: fc.constantFrom({ kind: 'synced' as const }, { kind: 'stale' as const, since: 5 }),
    service: fc.record({
      key: fc.constant(KEY),
      shared: fc.boolean(),
      terminating: fc.boolean(),
      frontendPorts: fc.array(fc.record({ name: portName, protocol, port: fc.constantFrom(80, 90) }), { maxLength: 2 }),
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
  takesPart: fc.boolean(),
  here: fc.record({
    node: fc.constant('node-1'),
    zone: fc.constantFrom('', 'a'),
    scope: fc.constantFrom('global' as const, 'all' as const),
  }),
  ownRange: fc.constantFrom(undefined, '10.9.0.0/16', 'fd00::2/128'),
  remotePerFrontend: fc.constantFrom(1, 2, 100),
});
