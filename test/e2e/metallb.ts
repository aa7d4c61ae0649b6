/** MetalLB itself on a cluster of the lab, from the manifests that it shows to people. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import { loadImages } from '@tombolo/lab/mesh/real-kubernetes.ts';
import type { Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import { metallbImages } from '@tombolo/real-kubernetes/building/built.ts';
import { METALLB, productFiles } from '@tombolo/real-kubernetes/building/products.ts';
import { manifestsIn } from '../pools.ts';

export const METALLB_SYSTEM = 'metallb-system';
const NATIVE = 'config/manifests/metallb-native.yaml';

/** MetalLB is about to run then. Without its webhooks, to which the API server has no way here. */
export async function installMetallb({ plan }: Mesh, cluster: ClusterHandle): Promise<void> {
  await loadImages(plan, [await metallbImages()]);
  await cluster.kubectl(['label', 'nodes', '--all', '--overwrite', 'kubernetes.io/os=linux']);
  const text = await readFile(join(await productFiles(METALLB), NATIVE), 'utf8');
  const manifests = manifestsIn(text).filter(({ kind }) => kind !== 'ValidatingWebhookConfiguration');
  const list = { apiVersion: 'v1', kind: 'List', items: manifests.map(withoutWebhooks) };
  await cluster.kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(list, withoutWrongFormat));
}

/** Kubernetes 1.37 takes no object of a kind whose numbers may be larger than their format, as those of BGPPeer may. */
function withoutWrongFormat(_: string, value: unknown): unknown {
  const isWrong = isRecord(value) && value['format'] === 'int32' && Number(value['maximum']) > 2 ** 31 - 1;
  return isWrong ? { ...value, format: 'int64' } : value;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

interface Kind extends Manifest {
  readonly spec: { readonly conversion?: object };
}

interface Workload extends Manifest {
  readonly spec: {
    readonly template: { readonly spec: { readonly containers: readonly { readonly args: readonly string[] }[] } };
  };
}

function withoutWebhooks(manifest: Manifest): Manifest {
  if (manifest.kind === 'CustomResourceDefinition') {
    const { spec } = manifest as Kind;
    return { ...manifest, spec: { ...spec, conversion: { strategy: 'None' } } };
  }
  if (manifest.kind !== 'Deployment') return manifest;
  const { spec } = manifest as Workload;
  const containers = spec.template.spec.containers.map((each) => ({
    ...each,
    args: [...each.args, '--webhook-mode=disabled'],
  }));
  const template = { ...spec.template, spec: { ...spec.template.spec, containers } };
  return { ...manifest, spec: { ...spec, template } };
}

/**
 * Speakers run on nodes with the label `speaker=metallb` from now on, which all nodes get; taking it from one ends the
 * speaker there, and none of the others is started anew.
 */
export async function labelSpeakers(cluster: ClusterHandle): Promise<void> {
  await cluster.kubectl(['label', 'nodes', '--all', '--overwrite', 'speaker=metallb']);
  const strategy = { $retainKeys: ['type'], type: 'OnDelete' };
  const spec = { updateStrategy: strategy, template: { spec: { nodeSelector: { speaker: 'metallb' } } } };
  await cluster.kubectl(['-n', METALLB_SYSTEM, 'patch', 'daemonset', 'speaker', '-p', JSON.stringify({ spec })]);
}

/** The nodes that have a speaker. */
export async function speakersOf(cluster: ClusterHandle): Promise<readonly string[]> {
  const label = 'labelSelector=component%3Dspeaker';
  const { items } = await cluster.api.get<{
    readonly items: readonly { readonly spec: { readonly nodeName?: string } }[];
  }>(`/api/v1/namespaces/${METALLB_SYSTEM}/pods?${label}`);
  return items.flatMap(({ spec }) => spec.nodeName ?? []);
}

/** An object of MetalLB's kinds. */
export const inMetallb = (apiVersion: string, kind: string, name: string, spec: object): Manifest => ({
  ...{ apiVersion: `metallb.io/${apiVersion}`, kind, metadata: { name, namespace: METALLB_SYSTEM }, spec },
});
