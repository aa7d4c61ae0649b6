/** A Service and an endpoint as tests need them: everything has a plain value, and a test names what matters to it. */
import { ip } from './ip.ts';
import {
  type LocalEndpoint,
  type LocalService,
  type Origin,
  type RemoteService,
  type ServiceKey,
  serviceKey,
} from './service.ts';

const ORIGIN: Origin = { source: 'kubernetes', revision: '1', at: 0 };

/** Global and shared, one port `http` 80/TCP. */
export const sampleService = (
  key: ServiceKey = serviceKey('shop', 'cart'),
  fields: Partial<LocalService> = {},
): LocalService => ({
  key,
  uid: `uid of ${key}`,
  createdAt: '2026-01-02T03:04:05Z',
  global: true,
  shared: true,
  affinity: 'none',
  clusterIps: [ip('10.96.0.1')],
  externalIps: [],
  loadBalancerIps: [],
  sourceRanges: [],
  ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 0 }],
  sessionAffinitySeconds: 0,
  internalTrafficPolicy: 'Cluster',
  staysClose: false,
  externalTrafficPolicy: 'Cluster',
  healthCheckNodePort: 0,
  labels: {},
  selector: {},
  origin: ORIGIN,
  ...fields,
});

/** Ready on `node-1`, its port `http` at 8080/TCP. */
export const sampleEndpoint = (address: string, fields: Partial<LocalEndpoint> = {}): LocalEndpoint => ({
  address: ip(address),
  ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
  ready: true,
  serving: true,
  terminating: false,
  node: 'node-1',
  zone: '',
  zoneHints: [],
  nodeHints: [],
  hostname: '',
  origin: ORIGIN,
  ...fields,
});

/** What another cluster says of a Service: backends with the port `http` at 8080/TCP, reached there at port 80. */
export const sampleRemote = (addresses: readonly string[], fields: Partial<RemoteService> = {}): RemoteService => ({
  key: serviceKey('shop', 'cart'),
  shared: true,
  terminating: false,
  frontendPorts: [{ name: 'http', protocol: 'TCP', port: 80 }],
  backends: addresses.map((address) => ({
    address: ip(address),
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    zone: '',
  })),
  origin: { source: 'etcd', revision: '3', at: 0 },
  ...fields,
});
