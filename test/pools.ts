/** The kinds of address pools on a real API server, from the CRDs that the chart brings, and pools of them. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import type { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import type { KubernetesObject, Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import { objectPath } from '@tombolo/machine/kubernetes/resource-path.ts';
import { METALLB, productFiles } from '@tombolo/real-kubernetes/building/products.ts';
import { parseAllDocuments } from 'yaml';

const CRDS = join(REPOSITORY, 'deploy/chart/kinds');
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

/** Resolves when objects of the kinds of our chart can be made. */
export const installPoolKinds = async (api: KubernetesClient): Promise<void> => installKinds(api, await chartKinds());

/** MetalLB's kinds for what its speakers announce, from MetalLB itself. */
export async function installStatusKinds(api: KubernetesClient): Promise<void> {
  const kinds = await kindsIn(join(await productFiles(METALLB), 'config/crd/bases'));
  const names = ['servicel2statuses.metallb.io', 'servicebgpstatuses.metallb.io'];
  await installKinds(
    api,
    kinds.filter(({ metadata }) => names.includes(metadata.name)),
  );
}

/** The same for CRDs of others. What is there of a kind is replaced, as its own product does it. */
export async function installKinds(api: KubernetesClient, kinds: readonly Manifest[]): Promise<void> {
  for (const crd of kinds) {
    const there = await api.find(crd);
    const { resourceVersion } = there?.metadata ?? {};
    if (there) await api.request('PUT', objectPath(crd), { ...crd, metadata: { ...crd.metadata, resourceVersion } });
    else await api.create(crd);
    await api.waitFor<Kind>(crd, (found) => found?.status?.conditions?.some(isEstablished) ?? false);
  }
}

export const chartKinds = (): Promise<readonly Manifest[]> => kindsIn(CRDS);

export async function kindsIn(directory: string): Promise<readonly Manifest[]> {
  const files = (await readdir(directory, { recursive: true })).filter((file) => file.endsWith('.yaml'));
  const texts = await Promise.all(files.map((file) => readFile(join(directory, file), 'utf8')));
  return texts.flatMap(manifestsIn);
}

export const manifestsIn = (text: string): readonly Manifest[] =>
  parseAllDocuments(text).flatMap((document) => {
    const manifest: Manifest | null = 'toJS' in document ? document.toJS() : null;
    return manifest?.kind === undefined ? [] : [manifest];
  });

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

export async function deletePools(api: KubernetesClient, ...namespaces: readonly string[]): Promise<void> {
  for (const path of [CILIUM, ...[METALLB_NAMESPACE, 'default', ...namespaces].map(metallbPath)])
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
