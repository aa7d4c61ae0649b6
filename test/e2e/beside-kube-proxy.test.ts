/**
 * A good neighbour: kube-proxy serves what is not global, the agents serve what is, and a Service changes hands without
 * a request that fails.
 */
import assert from 'node:assert/strict';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import type { PodHandle } from '@tombolo/lab/mesh/pod.ts';
import { byCluster, since } from '@tombolo/machine/programs/request-log.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { startRealMesh } from '../mesh.ts';
import { assertNoneFailed, clientPod, deployWeb, uses, webService } from './web.ts';

const GLOBAL = 'service.cilium.io/global';

for (const datapath of ['ebpf', 'nftables'] as const) {
  describe(`beside kube-proxy, over ${datapath}`, () => {
    let mesh: Mesh;
    let east: ClusterHandle;
    let client: PodHandle;
    let url: string;
    let all: readonly string[];

    before(async () => {
      mesh = await startRealMesh({
        name: `e2eside${datapath.slice(0, 4)}`,
        clusters: [
          { name: 'east', id: 1, nodes: 1 },
          { name: 'west', id: 2, nodes: 1 },
        ],
        agent: { datapath, services: 'global' },
      });
      east = mesh.cluster('east');
      all = (await Promise.all(mesh.clusters.map((cluster) => deployWeb(cluster))))
        .flat()
        .map(({ address }) => address);
      await east.apply([clientPod('east-1')]);
      client = await east.pod('client');
      url = `http://${await east.serviceAddress('web')}/`;
    });

    after(() => mesh?.close());

    it('hands a Service over and back, and no request fails', async () => {
      const stream = await client.sendRequests(url);
      const answers = async (clusters: readonly string[]) =>
        waitUntil(`answers from ${clusters}`, async () => {
          const before = await stream.counts();
          const seen = Object.keys(byCluster(since(before, await stream.more(20))));
          return `${seen.sort()}` === `${clusters}`;
        });
      for (let round = 0; round < 2; round++) {
        await east.apply([webService({ [GLOBAL]: 'true' })]);
        await uses(east.node(1), all);
        await answers(['east', 'west']);
        await east.apply([webService({ [GLOBAL]: 'false' })]);
        await answers(['east']);
      }
      assertNoneFailed(await stream.stop());
    });

    it('leaves what is not global to kube-proxy, also when the agent is stopped', async () => {
      await east.apply([{ ...webService({}), metadata: { name: 'plain', namespace: 'default' } }]);
      const plain = `http://${await east.serviceAddress('plain')}/`;
      const served = async () => (await client.tryExec(['curl', '-sS', '--max-time', '2', plain])).code === 0;
      await waitUntil('kube-proxy to serve it', served);
      const stream = await client.sendRequests(plain);
      await stream.more(20);
      await east.node(1).agent.stop();
      await stream.more(20);
      const counts = await stream.stop();
      assertNoneFailed(counts);
      assert.deepEqual(Object.keys(byCluster(counts)), ['east']);
    });
  });
}
