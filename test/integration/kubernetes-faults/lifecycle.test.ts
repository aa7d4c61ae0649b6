/**
 * What operators do to nodes and namespaces while requests go on, on two real clusters: none of them fails. A node is
 * cordoned, drained and deleted; a global Service is scaled to zero; its namespace is deleted and made anew.
 */
import assert from 'node:assert/strict';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import type { NodeHandle } from '@tombolo/lab/mesh/node.ts';
import type { RequestStream } from '@tombolo/lab/mesh/request-stream.ts';
import { command } from '@tombolo/machine/command.ts';
import type { KubernetesObject, Manifest, Pod } from '@tombolo/machine/kubernetes/objects.ts';
import { byCluster, since } from '@tombolo/machine/programs/request-log.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { kubernetesBinaries } from '@tombolo/real-kubernetes/building/built.ts';
import { assertNoneFailed, clientPod } from '../../e2e/web.ts';
import { startRealMesh } from '../../mesh.ts';

const NAMESPACE: Manifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };

const SERVICE: Manifest = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'shop', annotations: { 'service.cilium.io/global': 'true' } },
  spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
};

const DEPLOYMENT: Manifest = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'shop' },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        // The namespace waits for half as long before it looks again whether they are gone.
        terminationGracePeriodSeconds: 6,
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: 'kubernetes.io/hostname',
            whenUnsatisfiable: 'ScheduleAnyway',
            labelSelector: { matchLabels: { app: 'web' } },
          },
        ],
        containers: [
          {
            name: 'echo',
            image: 'echo:1',
            // It serves on for so long after it was told to end; whoever uses it must have left it by then.
            env: [{ name: 'DRAIN_MS', value: '3000' }],
            readinessProbe: { httpGet: { path: '/readyz', port: 8080 }, periodSeconds: 1, failureThreshold: 1 },
          },
        ],
      },
    },
  },
};

interface Shown {
  readonly frontends: readonly { readonly address: string }[];
  readonly backends: readonly { readonly address: string; readonly cluster: string; readonly verdict: string }[];
}

async function shown(node: NodeHandle): Promise<readonly Shown[]> {
  const { service } = JSON.parse(await node.tombolo(['service', 'shop/web', '-o', 'json'])) as {
    readonly service: { readonly groups: readonly Shown[] };
  };
  return service.groups;
}

async function usedBy(node: NodeHandle): Promise<string> {
  const groups = await shown(node).catch(() => []); // The agent does not know the Service at all.
  const backends = groups.flatMap(({ backends }) => backends).filter(({ verdict }) => verdict === 'selected');
  return `${[...new Set(backends.map(({ address }) => address))].sort()}`;
}

const uses = (node: NodeHandle, addresses: readonly string[]): Promise<unknown> =>
  waitUntil(`${node.name} to use ${addresses}`, async () => (await usedBy(node)) === `${[...addresses].sort()}`, {
    timeoutMs: 60_000,
  });

describe('nodes and namespaces that come and go', () => {
  let mesh: Mesh;
  let east: ClusterHandle;
  let west: ClusterHandle;
  let kubectl: string;
  const streams: RequestStream[] = [];

  before(async () => {
    kubectl = (await kubernetesBinaries()).kubectl;
    mesh = await startRealMesh({
      name: 'kfmesh',
      clusters: [
        { name: 'east', id: 1, nodes: 2 },
        { name: 'west', id: 2, nodes: 1 },
      ],
    });
    [east, west] = [mesh.cluster('east'), mesh.cluster('west')];
    for (const cluster of mesh.clusters)
      await cluster.apply([NAMESPACE, SERVICE, DEPLOYMENT, clientPod(`${cluster.name}-1`)]);
    const all = [...(await podsOf(east)), ...(await podsOf(west))];
    for (const node of [east.node(1), west.node(1)]) await uses(node, all);
  });
  after(() => mesh?.close());
  afterEach(async () => {
    for (const stream of streams.splice(0)) await stream.stop();
  });

  const operate = (cluster: ClusterHandle, ...args: readonly string[]): Promise<string> =>
    command([kubectl, '--kubeconfig', mesh.plan.kubeconfig, '--context', cluster.name, ...args]);

  /** Addresses of the two pods, once both are ready and no other is there. */
  async function podsOf(cluster: ClusterHandle): Promise<readonly string[]> {
    await operate(cluster, 'rollout', 'status', '-n', 'shop', 'deployment/web', '--timeout=90s');
    return waitUntil(
      `two pods in ${cluster.name}`,
      async () => {
        const { items } = await cluster.api.get<{ readonly items: readonly Pod[] }>('/api/v1/namespaces/shop/pods');
        return items.length === 2 && items.map(({ status }) => status?.podIP ?? '');
      },
      { timeoutMs: 60_000 },
    );
  }

  /** Requests of the cluster's client, from now to the end of the test. */
  async function requests(cluster: ClusterHandle): Promise<RequestStream> {
    const client = await cluster.pod('client');
    const stream = await client.sendRequests(`http://${await cluster.serviceAddress('web', 'shop')}/`);
    streams.push(stream);
    await stream.more(50);
    return stream;
  }

  it('no request fails while a node is cordoned, drained and deleted', async () => {
    const [here, there] = [await requests(east), await requests(west)];
    const before = await usedBy(east.node(1));
    await operate(east, 'cordon', 'east-2');
    await here.more(50);
    assert.equal(await usedBy(east.node(1)), before, 'a cordon keeps out who is new, not who is there');

    await operate(east, 'drain', 'east-2', '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=90s');
    const now = [...(await podsOf(east)), ...(await podsOf(west))];
    assert.ok(now.every((address) => !address.startsWith('10.1.2.')));
    for (const node of [east.node(1), west.node(1)]) await uses(node, now);

    await operate(east, 'delete', 'node', 'east-2');
    await waitUntil('west not to know the node any more', async () => (await nodesKnown(west.node(1), 'east')) === 1);
    for (const node of [east.node(1), east.node(2), west.node(1)]) await uses(node, now);
    for (const stream of [here, there]) {
      await stream.more(50);
      assertNoneFailed(await stream.stop());
    }
  });

  it('is scaled to zero: no request of another cluster fails, which has pods of its own', async () => {
    const stream = await requests(west);
    const others = await podsOf(west);
    await uses(west.node(1), [...(await podsOf(east)), ...others]);
    await stream.more(100);
    await operate(east, 'scale', 'deployment', 'web', '-n', 'shop', '--replicas=0');
    await uses(west.node(1), others);
    await stream.more(200);
    await operate(east, 'scale', 'deployment', 'web', '-n', 'shop', '--replicas=2');
    const renewed = await podsOf(east);
    await uses(west.node(1), [...renewed, ...others]);
    await stream.more(100);
    assertNoneFailed(await stream.stop());
  });

  it('the namespace is deleted and made anew: others leave its pods and find the new ones, and no phantom remains', async () => {
    const stream = await requests(west);
    const old = await podsOf(east);
    const others = await podsOf(west);
    await uses(west.node(1), [...old, ...others]);
    const uid = await uidOf(east);

    await operate(east, 'delete', 'namespace', 'shop', '--timeout=90s');
    await uses(west.node(1), others);
    for (const node of east.nodes) await uses(node, []);
    const gone = await stream.more(20); // Those that were under way.
    assertNoneFailed(gone);
    const without = await stream.more(50);
    assert.equal(byCluster(since(gone, without))['east'], undefined);

    await east.apply([NAMESPACE, SERVICE, DEPLOYMENT]);
    const renewed = await podsOf(east);
    assert.notEqual(await uidOf(east), uid);
    for (const node of [east.node(1), west.node(1)]) await uses(node, [...renewed, ...others]);
    const back = await stream.counts();
    await waitUntil('east to answer west', async () => byCluster(since(back, await stream.more(20)))['east']);
    assertNoneFailed(since(gone, await stream.stop()));

    const own = await requests(east);
    assert.deepEqual(Object.keys(byCluster(await own.more(100))).sort(), ['east', 'west']);
    assertNoneFailed(await own.stop());
    const clusterIp = await east.serviceAddress('web', 'shop');
    const frontends = (await shown(east.node(1))).flatMap(({ frontends }) => frontends.map(({ address }) => address));
    assert.deepEqual([...new Set(frontends)], [clusterIp]);
  });

  async function uidOf(cluster: ClusterHandle): Promise<string> {
    return (await cluster.api.get<KubernetesObject>('/api/v1/namespaces/shop/services/web')).metadata.uid;
  }
});

async function nodesKnown(node: NodeHandle, cluster: string): Promise<number | undefined> {
  const { clusters } = JSON.parse(await node.tombolo(['clusters', '-o', 'json'])) as {
    readonly clusters: readonly { readonly name: string; readonly nodes: number }[];
  };
  return clusters.find(({ name }) => name === cluster)?.nodes;
}
