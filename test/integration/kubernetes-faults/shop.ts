/** The global Service `shop/web` of a control plane without nodes: its backends are written by hand, slice by slice. */
import type { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import type { Manifest } from '@tombolo/machine/kubernetes/objects.ts';

/** Of an API server that is ready again, changes are seen within this: a few seconds, and as much again for a busy machine. */
export const SOON_MS = 15_000;

export async function openShop(api: KubernetesClient, backends: readonly string[]): Promise<void> {
  await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  await api.apply(service('web'));
  await setBackends(api, backends);
}

export interface SliceEndpoint {
  readonly address: string;
  readonly ready: boolean;
}

export const setBackends = (api: KubernetesClient, addresses: readonly string[]): Promise<unknown> =>
  setSlice(
    api,
    'web-1',
    addresses.map((address) => ({ address, ready: true })),
  );

export const setSlice = (api: KubernetesClient, name: string, endpoints: readonly SliceEndpoint[]): Promise<unknown> =>
  api.apply(slice(name, endpoints));

export const service = (name: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop', annotations: { 'service.cilium.io/global': 'true' } },
  spec: { ports: [{ name: 'http', port: 80 }] },
});

const slice = (name: string, endpoints: readonly SliceEndpoint[]): Manifest => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name, namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  endpoints: endpoints.map(({ address, ready }) => ({ addresses: [address], conditions: { ready } })),
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
});
