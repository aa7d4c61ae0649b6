/** The kinds of address pools on a real API server, from the CRDs that the chart brings, and pools of them. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import type { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import type { KubernetesObject, Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import { parseAllDocuments } from 'yaml';

const CRDS = join(REPOSITORY, 'deploy/chart/crds');
const CILIUM = '/apis/cilium.io/v2/ciliumloadbalancerippools';
/** Some namespace that there is. */
export const METALLB_NAMESPACE = 'kube-public';
const metallbPath = (namespace: string): string => `/apis/metallb.io/v1beta1/namespaces/${namespace}/ipaddresspools`;

interface Condition {
  readonly type: string;
  readonly status: string;
}

interface Kind extends KubernetesObject {
  readonly status?: { readonly conditions?: readonly Condition[] };
}

const isEstablished = ({ type, status }: Condition): boolean => type === 'Established' && status === 'True';

/** Resolves when objects of these kinds can be made. */
export async function installPoolKinds(api: KubernetesClient): Promise<void> {
  for (const file of await readdir(CRDS)) {
    for (const document of parseAllDocuments(await readFile(join(CRDS, file), 'utf8'))) {
      const crd: Manifest = document.toJS();
      await api.apply(crd);
      await api.waitFor<Kind>(crd, (found) => found?.status?.conditions?.some(isEstablished) ?? false);
    }
  }
}

export async function putCiliumPool(api: KubernetesClient, name: string, spec: object): Promise<void> {
  await put(api, CILIUM, { apiVersion: 'cilium.io/v2', kind: 'CiliumLoadBalancerIPPool', metadata: { name }, spec });
}

export async function putMetallbPool(
  api: KubernetesClient,
  name: string,
  spec: object,
  namespace = METALLB_NAMESPACE,
): Promise<void> {
  await put(api, metallbPath(namespace), {
    apiVersion: 'metallb.io/v1beta1',
    kind: 'IPAddressPool',
    metadata: { name },
    spec,
  });
}

export async function putL2Advertisement(
  api: KubernetesClient,
  name: string,
  spec: object,
  namespace = METALLB_NAMESPACE,
): Promise<void> {
  const path = `/apis/metallb.io/v1beta1/namespaces/${namespace}/l2advertisements`;
  await put(api, path, { apiVersion: 'metallb.io/v1beta1', kind: 'L2Advertisement', metadata: { name }, spec });
}

export async function putBgpPeer(api: KubernetesClient, name: string, spec: object): Promise<void> {
  const path = `/apis/metallb.io/v1beta2/namespaces/${METALLB_NAMESPACE}/bgppeers`;
  await put(api, path, { apiVersion: 'metallb.io/v1beta2', kind: 'BGPPeer', metadata: { name }, spec });
}

export async function deletePools(api: KubernetesClient): Promise<void> {
  for (const path of [CILIUM, metallbPath(METALLB_NAMESPACE), metallbPath('default')])
    await api.request('DELETE', path);
}

async function put(api: KubernetesClient, path: string, object: Manifest): Promise<void> {
  const there = `${path}/${object.metadata.name}`;
  const isThere = await api.get(there).then(
    () => true,
    () => false,
  );
  if (isThere) await api.request('PATCH', there, { spec: object['spec'] }, 'application/merge-patch+json');
  else await api.request('POST', path, object);
}
