/**
 * Every kind of client asks every kind of frontend, in both families, by streams and datagrams: each backend of the mesh
 * answers, none fails, and each sees whom it should. Over every way of balancing, on the real Kubernetes.
 *
 * `outside` is a machine in the network of the nodes that is none of them, and asks the first node of east.
 */
import assert from 'node:assert/strict';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import { SINK_TABLE } from '@tombolo/lab/mesh/fabric.ts';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import type { PodHandle } from '@tombolo/lab/mesh/pod.ts';
import type { AgentOptions } from '@tombolo/lab/mesh/programs.ts';
import { RequestStream } from '@tombolo/lab/mesh/request-stream.ts';
import { command } from '@tombolo/machine/command.ts';
import { ip as ipCommand } from '@tombolo/machine/netns.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { startRealMesh } from '../mesh.ts';
import { installPoolKinds, putCiliumPool } from '../pools.ts';
import { assertNoneFailed, clientPod, webPod } from './web.ts';

/** Of a server of our own in each pod. */
const PORT = 7070;
/** All that the pool of each cluster has. */
const BALANCED = { 4: '192.0.2.10', 6: '2001:db8::10' } as const;
const EXTERNAL = { 4: '192.0.2.20', 6: '2001:db8::20' } as const;
const NODE_PORTS = { tcp: 30_090, udp: 30_091 } as const;
/** The chance that one of three backends is missed by chance is one in ten millions. */
const ROUNDS = 42;

const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'seen', namespace: 'default', annotations: { 'service.cilium.io/global': 'true' } },
  spec: {
    ...{ type: 'LoadBalancer', ipFamilyPolicy: 'RequireDualStack', selector: { app: 'web' } },
    externalIPs: [EXTERNAL[4], EXTERNAL[6]],
    ports: [
      { name: 'tcp', protocol: 'TCP', port: 80, targetPort: PORT, nodePort: NODE_PORTS.tcp },
      { name: 'udp', protocol: 'UDP', port: 80, targetPort: PORT, nodePort: NODE_PORTS.udp },
      { name: 'http', protocol: 'TCP', port: 8080, targetPort: 8080 },
    ],
  },
};

interface Way {
  readonly name: string;
  readonly title: string;
  readonly agent: AgentOptions;
  readonly proxyMode?: 'iptables' | 'nftables';
}

const WAYS: readonly Way[] = [
  { name: 'sock', title: 'eBPF at sockets and interfaces', agent: { datapath: 'ebpf' } },
  {
    name: 'pack',
    title: 'eBPF at interfaces for all but the nodes themselves',
    agent: { datapath: 'ebpf', more: () => ['--socket-clients', 'host', '--packets', 'ebpf'] },
  },
  { name: 'nft', title: 'nftables', agent: { datapath: 'nftables' } },
  {
    ...{ name: 'besi', title: 'eBPF, beside kube-proxy in iptables mode', proxyMode: 'iptables' },
    agent: { datapath: 'ebpf', services: 'global' },
  },
  {
    ...{ name: 'besn', title: 'nftables, beside kube-proxy in nftables mode', proxyMode: 'nftables' },
    agent: { datapath: 'nftables', services: 'global' },
  },
];

/** kube-proxy's, as it is not global. */
const PLAIN = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'plain', namespace: 'default' },
  spec: { selector: { app: 'web' }, ports: [{ port: 8080 }] },
};

type Family = 4 | 6;
type Protocol = 'tcp' | 'udp';
/** Runs node with a script and arguments there. */
type Run = (script: string, ...args: readonly string[]) => Promise<string>;

interface Client {
  readonly name: 'pod' | 'host' | 'outside';
  readonly run: Run;
}

for (const { name, title, agent, proxyMode } of WAYS) {
  describe(`every client and frontend: ${title}`, () => {
    let mesh: Mesh;
    let east: ClusterHandle;
    let pods: readonly PodHandle[];
    let clients: readonly Client[];
    let clusterIps: Readonly<Record<Family, string>>;
    const done = new AbortController();
    const servers: Promise<unknown>[] = [];

    before(async () => {
      mesh = await startRealMesh({
        name: `e2ematrix${name}`,
        clusters: [
          { name: 'east', id: 1, nodes: 2 },
          { name: 'west', id: 2, nodes: 1 },
        ],
        agent: { services: 'all', ...agent },
        proxyMode,
      });
      east = mesh.cluster('east');
      pods = await deploy(mesh);
      for (const pod of pods) {
        const serving = pod.tryExec([process.execPath, '-e', SERVER, pod.name], { signal: done.signal });
        servers.push(serving);
      }
      await east.apply([clientPod('east-1')]);
      await leadNowhere(east);
      clients = [await podClient(east), hostClient(east), await outsideClient(east)];
      clusterIps = await clusterIpsOf(east);
      await Promise.all(pods.map((pod) => untilServed(clients, pod)));
    });
    after(async () => {
      done.abort();
      await Promise.all(servers);
      await mesh?.close();
    });

    for (const client of ['pod', 'host', 'outside'] as const) {
      for (const kind of ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalIP'] as const) {
        for (const family of [4, 6] as const) {
          for (const protocol of ['tcp', 'udp'] as const) {
            it(`${client} → ${kind}, IPv${family}, ${protocol.toUpperCase()}`, async () => {
              const { run } = clients.find((each) => each.name === client) ?? assert.fail();
              const address = {
                ClusterIP: clusterIps[family],
                NodePort: nodeAddress(east, family),
                LoadBalancer: BALANCED[family],
                ExternalIP: EXTERNAL[family],
              }[kind];
              const port = kind === 'NodePort' ? NODE_PORTS[protocol] : 80;
              const heard = await ask(run, protocol, address, port, ROUNDS);
              assert.deepEqual(heard.failures, {});
              assert.deepEqual([...heard.seen.keys()].sort(), pods.map((pod) => pod.name).sort());
              for (const [pod, sources] of heard.seen) {
                const expected = await expectedSources(east, client, family, pod === 'web-east-1');
                assert.ok(
                  [...sources].every((source) => expected.includes(source)),
                  `${pod} saw ${[...sources]}: expected ${expected}`,
                );
              }
            });
          }
        }
      }
    }

    if (proxyMode === undefined) return;
    for (const first of ['kube-proxy', 'node-agent'] as const) {
      it(`loses no request, ours or kube-proxy’s, while both are killed and come back, ${first} first`, async () => {
        const node = east.node(1);
        const proxy = (await east.kubernetes.proxy(node.name)) ?? assert.fail();
        await east.apply([PLAIN]);
        const urls = [BALANCED[4], await east.serviceAddress('plain')].map((address) => `http://${address}:8080/`);
        const { controlPlane } = east.plan;
        const place = { ...controlPlane, name: 'outside', directory: east.plan.directory };
        const pod = await east.pod('client');
        for (const url of urls) await waitUntil(`${url} to answer`, async () => isAnswered(pod, url));
        const streams = [
          ...(await Promise.all(urls.map((url) => pod.sendRequests(url)))),
          ...(await Promise.all(urls.map((url) => RequestStream.start(url, {}, place)))),
        ];
        const served = () => Promise.all(streams.map((stream) => stream.more(50)));
        await served();
        const programs = [proxy, node.agent];
        if (first === 'node-agent') programs.reverse();
        for (const program of programs) await program.kill();
        await served();
        for (const program of programs) {
          await program.start();
          await served();
        }
        await node.agentReady();
        await served();
        for (const stream of streams) assertNoneFailed(await stream.stop());
      });
    }
  });
}

const isAnswered = async (pod: PodHandle, url: string): Promise<boolean> =>
  (await pod.tryExec(['curl', '-sS', '--max-time', '2', url])).code === 0;

/** One pod on each node, all of them ready, behind one Service. */
async function deploy(mesh: Mesh): Promise<readonly PodHandle[]> {
  const all = mesh.clusters.map(async (cluster) => {
    const names = cluster.nodes.map((node) => [`web-${node.name}`, node.name] as const);
    await installPoolKinds(cluster.api);
    await putCiliumPool(cluster.api, 'balanced', { blocks: [{ start: BALANCED[4] }, { start: BALANCED[6] }] });
    await cluster.apply([SERVICE, ...names.map(([pod, node]) => webPod(pod, node))]);
    return Promise.all(names.map(([pod]) => cluster.pod(pod)));
  });
  return (await Promise.all(all)).flat();
}

async function podClient(east: ClusterHandle): Promise<Client> {
  const pod = await east.pod('client');
  return { name: 'pod', run: (script, ...args) => pod.exec([process.execPath, '-e', script, ...args]) };
}

const hostClient = (east: ClusterHandle): Client => ({
  name: 'host',
  run: (script, ...args) => east.node(1).run([process.execPath, '-e', script, ...args]),
});

/** The node's own packets need a route before they can be translated, as a default route is elsewhere. */
const leadNowhere = (east: ClusterHandle): Promise<void> =>
  ipCommand(
    east.node(1).plan.netns,
    ['192.0.2.0/24', '2001:db8::/64'].map((range) => `route add ${range} dev sink`),
  );

/** The machine of the control plane: its way to what the nodes serve is the first node. */
async function outsideClient(east: ClusterHandle): Promise<Client> {
  const { netns } = east.plan.controlPlane;
  for (const family of [4, 6] as const) {
    const via = nodeAddress(east, family);
    const range = family === 4 ? '192.0.2.0/24' : '2001:db8::/64';
    const services = family === 4 ? '10.96.0.0/16' : 'fd00:96::/112';
    const lines = [`route replace ${range} via ${via}`, `route replace ${services} via ${via} table ${SINK_TABLE}`];
    await ipCommand(netns, lines);
  }
  return { name: 'outside', run: (script, ...args) => command([process.execPath, '-e', script, ...args], { netns }) };
}

const nodeAddress = (east: ClusterHandle, family: Family): string => {
  const { address, address6 } = east.node(1).plan;
  return family === 4 ? address : address6;
};

async function clusterIpsOf(east: ClusterHandle): Promise<Readonly<Record<Family, string>>> {
  const text = await east.kubectl(['get', 'service', 'seen', '-o', 'jsonpath={.spec.clusterIPs}']);
  const all: readonly string[] = JSON.parse(text);
  const of = (family: Family): string => all.find((each) => each.includes(':') === (family === 6)) ?? assert.fail(text);
  return { 4: of(4), 6: of(6) };
}

/**
 * Pods are seen as themselves. The node is, by whatever address it has towards the backend. Who is outside is seen as
 * itself by a pod of the node that it asked, else as that node.
 */
async function expectedSources(
  east: ClusterHandle,
  client: Client['name'],
  family: Family,
  isLocal: boolean,
): Promise<readonly string[]> {
  const own = async (run: (argv: readonly string[]) => Promise<string>): Promise<readonly string[]> => {
    const links = JSON.parse(await run(['ip', '-j', 'address'])) as readonly {
      readonly addr_info: readonly { readonly family: string; readonly local: string }[];
    }[];
    const wanted = family === 4 ? 'inet' : 'inet6';
    return links.flatMap((link) => link.addr_info.filter((each) => each.family === wanted).map(({ local }) => local));
  };
  const pod = await east.pod('client');
  if (client === 'pod') return own((argv) => pod.exec(argv));
  if (client === 'outside' && isLocal) {
    const { address, address6 } = east.plan.controlPlane;
    return [family === 4 ? address : address6];
  }
  return own((argv) => east.node(1).run(argv));
}

/** Everything that a node must know of has come to it: the pod answers each client in each family, at the address of the pool. */
async function untilServed(clients: readonly Client[], pod: PodHandle): Promise<void> {
  for (const { run } of clients) {
    for (const family of [4, 6] as const) {
      for (const protocol of ['tcp', 'udp'] as const) {
        await waitUntil(`${pod.name} to answer`, async () => {
          const { seen } = await ask(run, protocol, BALANCED[family], 80, ROUNDS);
          return seen.has(pod.name);
        });
      }
    }
  }
}

interface Heard {
  /** The addresses that each pod saw. */
  readonly seen: ReadonlyMap<string, ReadonlySet<string>>;
  readonly failures: Readonly<Record<string, number>>;
}

async function ask(run: Run, protocol: Protocol, address: string, port: number, rounds: number): Promise<Heard> {
  const { answers, failures } = JSON.parse(await run(CLIENT, protocol, address, `${port}`, `${rounds}`)) as {
    readonly answers: readonly string[];
    readonly failures: Readonly<Record<string, number>>;
  };
  const seen = new Map<string, Set<string>>();
  for (const answer of answers) {
    const [pod = '', source = ''] = answer.split(' ');
    seen.set(pod, (seen.get(pod) ?? new Set()).add(source));
  }
  return { seen, failures };
}

/** Answers with its name and the address that it sees. */
const SERVER = `
  const answer = (address) => process.argv[1] + ' ' + address.replace('::ffff:', '');
  require('node:net').createServer((socket) => {
    // The client ends it: who ends a stream first remembers it for a minute, and a port may be used again before.
    socket.on('error', () => {});
    socket.resume();
    socket.write(answer(socket.remoteAddress));
  }).listen(${PORT}, '::');
  for (const type of ['udp4', 'udp6']) {
    const socket = require('node:dgram').createSocket({ type, ipv6Only: type === 'udp6' }).bind(${PORT});
    socket.on('message', (_, { address, port }) => socket.send(answer(address), port, address));
  }`;

/** Asks so many times, each time anew, up to the first failure, and tells the answers. */
const CLIENT = `
  const [protocol, address, port, rounds] = process.argv.slice(1);
  const [answers, failures] = [[], {}];
  const fail = (why) => { failures[why] = (failures[why] ?? 0) + 1; };
  const byTcp = () => new Promise((done) => {
    const socket = require('node:net').connect({ host: address, port: Number(port), timeout: 4000 });
    socket.on('data', (data) => { answers.push(String(data)); socket.end(); });
    socket.on('close', done);
    socket.on('timeout', () => { fail('silence'); socket.destroy(); });
    socket.on('error', (error) => fail(error.code));
  });
  const byUdp = () => new Promise((done) => {
    const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const end = () => { clearTimeout(patience); socket.close(); done(); };
    const patience = setTimeout(() => { fail('silence'); end(); }, 4000);
    socket.on('message', (text) => { answers.push(String(text)); end(); });
    socket.on('error', (error) => { fail(error.code); end(); });
    socket.connect(Number(port), address, () => socket.send('?'));
  });
  (async () => {
    for (let i = 0; i < Number(rounds) && Object.keys(failures).length === 0; i++) await (protocol === 'tcp' ? byTcp() : byUdp());
    console.log(JSON.stringify({ answers, failures }));
  })();`;
