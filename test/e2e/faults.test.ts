/**
 * What may die without a user noticing: each fault is caused while a pod sends requests, and not one of them may fail.
 * Real clusters, real etcd, real kernel; two clusters with two pods each, those of east on two nodes.
 */
import assert from 'node:assert/strict';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import type { PodHandle } from '@tombolo/lab/mesh/pod.ts';
import { byCluster, since } from '@tombolo/machine/programs/request-log.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { startRealMesh } from '../mesh.ts';
import { assertNoneFailed, backendsOf, clientPod, clusterOf, deployWeb, uses, webPod, webService } from './web.ts';

/** Of 1,000, a fair choice would miss the bound of 5 points once in a thousand runs. */
const CONNECTIONS = 4000;

for (const datapath of ['ebpf', 'nftables'] as const) {
  describe(`two clusters over ${datapath}`, () => {
    let mesh: Mesh;
    let client: PodHandle;
    let url: string;
    let all: readonly string[];

    before(async () => {
      mesh = await startRealMesh({
        name: `e2e${datapath.slice(0, 4)}`,
        clusters: [
          { name: 'east', id: 1, nodes: 2 },
          { name: 'west', id: 2, nodes: 1 },
        ],
        agent: { datapath },
      });
      const east = mesh.cluster('east');
      const pods = (await Promise.all(mesh.clusters.map((cluster) => deployWeb(cluster, 2)))).flat();
      await east.apply([clientPod('east-1')]);
      client = await east.pod('client');
      url = `http://${await east.serviceAddress('web')}/`;
      all = pods.map(({ address }) => address);
      await uses(east.node(1), all);
    });

    after(() => mesh?.close());

    it('spreads connections over 4 equal backends, 25 % ± 5 points each', async () => {
      const stream = await client.sendRequests(url, { count: CONNECTIONS, workers: 4, intervalMs: 0 });
      const counts = await stream.finished();
      assertNoneFailed(counts);
      assert.equal(Object.keys(counts.by).length, 4);
      for (const [who, count] of Object.entries(counts.by)) {
        const share = count / CONNECTIONS;
        assert.ok(share >= 0.2 && share <= 0.3, `${who}: ${share}`);
      }
    });

    it('gives each cluster its weight, and all to the other while one has nothing, without a failure', async () => {
      const east = mesh.cluster('east');
      const west = mesh.cluster('west');
      const weigh = (weights: string) =>
        east.apply([webService({ 'service.cilium.io/global': 'true', 'service.tombolo.io/cluster-weights': weights })]);
      const share = (shared: string) =>
        west.apply([webService({ 'service.cilium.io/global': 'true', 'service.cilium.io/shared': shared })]);
      const partOfWest = async (): Promise<number> => {
        const stream = await client.sendRequests(url, { count: CONNECTIONS / 2, workers: 4, intervalMs: 0 });
        const counts = await stream.finished();
        assertNoneFailed(counts);
        return (byCluster(counts)['west'] ?? 0) / counts.answered;
      };
      const settles = (reasons: Readonly<Record<string, string>>) =>
        waitUntil(`the reasons ${JSON.stringify(reasons)}`, async () => {
          const backends = await backendsOf(east.node(1));
          return (
            backends.length === 4 && backends.every(({ cluster, reason }) => reason.includes(`${reasons[cluster]}`))
          );
        });
      const stream = await client.sendRequests(url);
      await weigh('east=9,west=1');
      await settles({ east: '9 of 10', west: '1 of 10' });
      const part = await partOfWest();
      assert.ok(part > 0.05 && part < 0.15, `${part}`);
      await share('false');
      await uses(east.node(1), all.slice(0, 2));
      assert.equal(await partOfWest(), 0);
      await share('true');
      await weigh('east=0,west=1');
      await settles({ east: 'east has weight 0', west: 'in use' });
      assert.equal(await partOfWest(), 1);
      await weigh('');
      await uses(east.node(1), all);
      assertNoneFailed(await stream.stop());
    });

    it('loses no request while a backend is removed gracefully', async () => {
      const west = mesh.cluster('west');
      const gone = await west.pod('web-west-2');
      const stream = await client.sendRequests(url);
      await stream.more(50);
      const address = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web-west-2', namespace: 'default' } };
      await west.api.remove(address);
      await west.waitFor(address, (pod) => pod === undefined);
      const before = await stream.more(20);
      const counts = await stream.more(100);
      assertNoneFailed(await stream.stop());
      assert.equal(since(before, counts).by['west/west-1/web-west-2'], undefined);

      await west.apply([webPod('web-west-2', 'west-1')]);
      const back = await west.pod('web-west-2');
      all = [...all.filter((each) => each !== gone.address), back.address];
      await uses(mesh.cluster('east').node(1), all);
    });

    it('loses no request while the agent is killed and restarted', async () => {
      const node = mesh.cluster('east').node(1);
      const stream = await client.sendRequests(url);
      await stream.more(50);
      await node.agent.kill();
      await stream.more(100);
      await node.agent.start();
      await node.agentReady();
      await uses(node, all);
      await stream.more(100);
      const counts = await stream.stop();
      assertNoneFailed(counts);
      assert.deepEqual(Object.keys(byCluster(counts)), ['east', 'west']);
    });

    it('keeps a remote whose control plane is killed, also over a restart of the agent, and lets it come back', async () => {
      const [east, west] = [mesh.cluster('east'), mesh.cluster('west')];
      const stream = await client.sendRequests(url);
      await stream.more(50);
      await Promise.all([west.apiserver.kill(), west.etcd.kill()]);
      await waitUntil('west to be silent', async () => (await clusterOf(east.node(1), 'west'))?.control === 'silent');
      await stream.more(100);
      const stale = async () =>
        (await backendsOf(east.node(1))).filter((each) => each.verdict === 'selected' && each.stale).length;
      await waitUntil('what west said to be stale', async () => (await stale()) === 2);

      await east.node(1).agent.kill();
      await east.node(1).agent.start();
      await east.node(1).agentReady();
      await uses(east.node(1), all);
      assert.equal(await stale(), 2);
      const before = await stream.counts();
      assert.ok((byCluster(since(before, await stream.more(100)))['west'] ?? 0) > 0);

      await west.etcd.start();
      await west.etcdReady();
      await west.apiserver.start();
      await west.apiserverReady();
      await waitUntil('west to be heard', async () => (await clusterOf(east.node(1), 'west'))?.control === 'heard');
      await waitUntil('west to be fresh', async () => (await backendsOf(east.node(1))).every(({ stale }) => !stale));
      await stream.more(50);
      assertNoneFailed(await stream.stop());
    });

    it('keeps local backends while its own etcd and apiserver are dead', async () => {
      const east = mesh.cluster('east');
      await Promise.all([east.apiserver.kill(), east.etcd.kill()]);
      const stream = await client.sendRequests(url);
      await east.apply([webPod('web-extra', 'east-2')]);
      const extra = await east.pod('web-extra');
      await uses(east.node(1), [...all, extra.address]);
      await east.api.remove({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web-extra', namespace: 'default' } });
      await uses(east.node(1), all);
      assertNoneFailed(await stream.stop());
      await east.etcd.start();
      await east.etcdReady();
      await east.apiserver.start();
      await east.apiserverReady();
    });

    it('follows the annotations: affinity, not shared, not global', async () => {
      const [east, west] = [mesh.cluster('east'), mesh.cluster('west')];
      const ofEast = all.filter((address) => address.startsWith('10.1.'));
      const annotate = (cluster: typeof east, extra: Readonly<Record<string, string>>) =>
        cluster.apply([webService({ 'service.cilium.io/global': 'true', ...extra })]);
      await annotate(east, { 'service.cilium.io/affinity': 'local' });
      await uses(east.node(1), ofEast);
      await annotate(east, { 'service.cilium.io/affinity': 'none' });
      await uses(east.node(1), all);
      await annotate(west, { 'service.cilium.io/shared': 'false' });
      await uses(east.node(1), ofEast);
      await annotate(west, { 'service.cilium.io/shared': 'true' });
      await uses(east.node(1), all);
      await annotate(east, { 'service.cilium.io/global': 'false' });
      await uses(east.node(1), ofEast);
      await annotate(east, {});
      await uses(east.node(1), all);
    });
  });
}
