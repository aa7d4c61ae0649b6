/** Facts for tests: objects as the Kubernetes room hands them over, with defaults. */
import type { KubernetesNamespace } from '@tombolo/shared/kubernetes/namespace-object.ts';
import type { KubernetesPod } from '@tombolo/shared/kubernetes/pod-object.ts';
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import {
  type LocalEndpoint,
  type LocalEndpointSlice,
  type LocalService,
  type Origin,
  serviceKey,
} from '@tombolo/shared/model/service.ts';

export const EAST: ClusterIdentity = { name: 'east' as ClusterName, id: 1 };

const origin: Origin = { source: 'kubernetes', revision: '1', at: 0 };

export const service = (key: string, parts: Partial<LocalService> = {}): LocalService => ({
  key: serviceKey(...(key.split('/') as [string, string])),
  global: true,
  shared: true,
  affinity: 'none',
  clusterIps: [ip('10.96.0.1')],
  externalIps: [],
  loadBalancerIps: [],
  ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 0 }],
  sessionAffinitySeconds: 0,
  internalTrafficPolicy: 'Cluster',
  externalTrafficPolicy: 'Cluster',
  labels: {},
  selector: {},
  origin,
  ...parts,
});

export const endpoint = (address: string, parts: Partial<LocalEndpoint> = {}): LocalEndpoint => ({
  address: ip(address),
  ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
  ready: true,
  serving: true,
  terminating: false,
  node: 'n1',
  zone: '',
  zoneHints: [],
  hostname: '',
  origin,
  ...parts,
});

export const slice = (key: string, of: string, endpoints: readonly LocalEndpoint[]): LocalEndpointSlice => ({
  key,
  service: serviceKey(...(of.split('/') as [string, string])),
  endpoints,
});

export const namespace = (name: string, parts: Partial<KubernetesNamespace> = {}): KubernetesNamespace => ({
  name,
  global: undefined,
  labels: {},
  ...parts,
});

export const pod = (key: string, address: string, parts: Partial<KubernetesPod> = {}): KubernetesPod => {
  const [space = '', name = ''] = key.split('/');
  return {
    namespace: space,
    name,
    serviceAccount: 'default',
    labels: {},
    addresses: [ip(address)],
    hostAddresses: [ip('192.168.0.1')],
    createdAt: '2026-01-01T00:00:00Z',
    uid: key,
    ...parts,
  };
};
