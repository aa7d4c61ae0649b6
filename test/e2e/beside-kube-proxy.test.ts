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

const datagramService = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'datagrams', namespace: 'default', annotations: { [GLOBAL]: 'true' } },
  spec: { selector: { app: 'web' }, ports: [{ name: 'd', protocol: 'UDP', port: 5353, targetPort: 5353 }] },
};

/** Answers with its own address. */
const DATAGRAM_SERVER = `
  const own = Object.values(require('node:os').networkInterfaces()).flat().find((a) => !a.internal && a.family === 'IPv4');
  const socket = require('node:dgram').createSocket('udp4').bind(5353);
  socket.on('message', (_, { address, port }) => socket.send(own.address, port, address));`;

/** Eight sockets ask in turns, each when it was answered, and say by whom. */
const DATAGRAM_CLIENT = `
  const [address, rounds] = process.argv.slice(1);
  const ask = () => new Promise((resolve) => {
    const socket = require('node:dgram').createSocket('udp4');
    const told = { answers: 0, backends: [] };
    const end = () => { clearTimeout(patience); socket.close(); resolve(told); };
    let patience;
    const send = () => {
      socket.send('x', 5353, address);
      patience = setTimeout(end, 5_000);
    };
    socket.on('message', (text) => {
      clearTimeout(patience);
      told.answers += 1;
      if (!told.backends.includes(String(text))) told.backends.push(String(text));
      if (told.answers < Number(rounds)) setTimeout(send, 20);
      else end();
    });
    send();
  });
  Promise.all(Array.from({ length: 8 }, ask)).then((all) => console.log(JSON.stringify(all)));`;

interface Asked {
  readonly answers: number;
  readonly backends: readonly string[];
}

/** Some seconds, in which kube-proxy looks at its table several times. */
const ROUNDS = 400;

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

    it('keeps datagrams at their backend in another cluster, though kube-proxy forgets their flows', async () => {
      const done = new AbortController();
      const pods = await Promise.all(mesh.clusters.map((cluster) => cluster.pod(`web-${cluster.name}-1`)));
      const servers = pods.map((pod) =>
        pod.tryExec([process.execPath, '-e', DATAGRAM_SERVER], { signal: done.signal }),
      );
      for (const cluster of mesh.clusters) await cluster.apply([datagramService]);
      const address = await east.serviceAddress('datagrams');
      const watch = ['stdbuf', '-oL', 'conntrack', '-E', '-e', 'DESTROY', '-p', 'udp', '-d', address];
      const forgotten = east.node(1).tryRun(watch, { signal: done.signal });
      const ask = (count: number): Promise<readonly Asked[]> =>
        client.exec([process.execPath, '-e', DATAGRAM_CLIENT, address, `${count}`]).then(JSON.parse);
      const clustersIn = (asked: readonly Asked[]): readonly string[] =>
        [...new Set(asked.flatMap(({ backends }) => backends))].sort();
      await waitUntil('datagrams to be answered from both clusters', async () => {
        return `${clustersIn(await ask(1))}` === `${pods.map(({ address }) => address).sort()}`;
      });
      let isAsking = true;
      const asking = ask(ROUNDS).finally(() => {
        isAsking = false;
      });
      for (let port = 1; isAsking; port++) {
        // Whatever kube-proxy takes in, it looks for flows that lead to nobody it knows.
        await east.apply([{ ...webService({}), metadata: { name: `changing-${port % 2}`, namespace: 'default' } }]);
        await east.apply([
          { ...datagramService, metadata: { ...datagramService.metadata, labels: { at: `${port}` } } },
        ]);
      }
      const asked = await asking;
      done.abort();
      await Promise.all(servers);
      const { stdout } = await forgotten;
      if (datapath === 'nftables') assert.match(stdout, /DESTROY.*udp.*dport=5353/, 'kube-proxy forgot no flow');
      assert.deepEqual(
        asked.map(({ answers, backends }) => [answers, backends.length]),
        asked.map(() => [ROUNDS, 1]),
      );
      assert.equal(clustersIn(asked).length, 2);
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
