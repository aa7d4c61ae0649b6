/** The `web` Service of the end-to-end tests: the same name in each cluster, pods that say who they are. */
import assert from 'node:assert/strict';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import type { NodeHandle } from '@tombolo/lab/mesh/node.ts';
import type { PodHandle } from '@tombolo/lab/mesh/pod.ts';
import type { Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import type { RequestCounts } from '@tombolo/machine/programs/request-log.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';

const WEB = 'default/web';

export function webService(
  annotations: Readonly<Record<string, string>> = { 'service.cilium.io/global': 'true' },
): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default', annotations },
    spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
  };
}

export function webPod(name: string, nodeName: string): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app: 'web' } },
    spec: {
      nodeName,
      containers: [
        {
          name: 'echo',
          image: 'echo:1',
          ports: [{ name: 'http', containerPort: 8080 }],
          readinessProbe: { httpGet: { path: '/readyz', port: 8080 }, periodSeconds: 1, failureThreshold: 1 },
        },
      ],
    },
  };
}

export const clientPod = (nodeName: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'client', namespace: 'default' },
  spec: { nodeName, containers: [{ name: 'client', image: 'client:1' }] },
});

/** A `web` Service with pods `web-CLUSTER-1`, …, spread over the nodes, and all of them ready; one a node unless told. */
export async function deployWeb(cluster: ClusterHandle, count = cluster.nodes.length): Promise<readonly PodHandle[]> {
  const pods = Array.from({ length: count }, (_, index) =>
    webPod(`web-${cluster.name}-${index + 1}`, cluster.node((index % cluster.nodes.length) + 1).name),
  );
  await cluster.apply([webService(), ...pods]);
  return Promise.all(pods.map(({ metadata }) => cluster.pod(metadata.name)));
}

interface ListedBackend {
  readonly address: string;
  readonly cluster: string;
  readonly verdict: string;
  readonly reason: string;
  readonly stale: boolean;
}

/** Every backend of `web` as a node's agent explains it. */
export async function backendsOf(node: NodeHandle): Promise<readonly ListedBackend[]> {
  const { service } = JSON.parse(await node.tombolo(['service', WEB, '-o', 'json'])) as {
    readonly service: { readonly groups: readonly { readonly backends: readonly ListedBackend[] }[] };
  };
  return service.groups.flatMap(({ backends }) => backends);
}

/** Waits until a node uses exactly these backends, by address. */
export async function uses(node: NodeHandle, addresses: readonly string[]): Promise<void> {
  const expected = [...addresses].sort();
  let used: readonly string[] = [];
  await waitUntil(`${node.name} to use ${expected}`, async () => {
    used = (await backendsOf(node)).filter(({ verdict }) => verdict === 'selected').map(({ address }) => address);
    return JSON.stringify([...used].sort()) === JSON.stringify(expected);
  });
}

export interface ListedCluster {
  readonly name: string;
  readonly control: string;
  readonly lastError: string;
  readonly quarantined: readonly { readonly key: string; readonly reason: string }[];
}

export async function clusterOf(node: NodeHandle, name: string): Promise<ListedCluster | undefined> {
  const { clusters } = JSON.parse(await node.tombolo(['clusters', '-o', 'json'])) as {
    readonly clusters: readonly ListedCluster[];
  };
  return clusters.find((cluster) => cluster.name === name);
}

/** The promise that matters most: nobody noticed. */
export function assertNoneFailed(counts: RequestCounts): void {
  assert.deepEqual({ failed: counts.failed, errors: counts.errors }, { failed: 0, errors: {} });
  assert.ok(counts.answered > 0);
}
