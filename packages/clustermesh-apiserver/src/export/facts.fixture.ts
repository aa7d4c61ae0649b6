/** Facts for tests: objects as the Kubernetes room hands them over, with defaults. */

import type { KubernetesPod } from '@tombolo/shared/kubernetes/pod-object.ts';
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import { sampleEndpoint, sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import type { LocalNamespace } from '@tombolo/shared/model/service.ts';
import {
  type LocalEndpoint,
  type LocalEndpointSlice,
  type LocalService,
  serviceKey,
} from '@tombolo/shared/model/service.ts';

export const EAST: ClusterIdentity = { name: 'east' as ClusterName, id: 1 };

export const service = (key: string, parts: Partial<LocalService> = {}): LocalService =>
  sampleService(serviceKey(...(key.split('/') as [string, string])), parts);

export { sampleEndpoint as endpoint };

export const slice = (
  key: string,
  of: string,
  endpoints: readonly LocalEndpoint[],
  headless = false,
): LocalEndpointSlice => ({ key, service: serviceKey(...(of.split('/') as [string, string])), headless, endpoints });

export const namespace = (name: string, parts: Partial<LocalNamespace> = {}): LocalNamespace => ({
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
