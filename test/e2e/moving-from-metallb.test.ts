/**
 * The story of moving from MetalLB to Tombolo while it runs, as docs/moving-from-metallb.md has it: MetalLB's own
 * controller and speakers, in pods from its own manifests, beside kube-proxy; then Tombolo beside them, on all nodes; then
 * MetalLB goes. Its objects stay, addresses and the nodes that answer for them are kept, and requests are counted all the
 * while.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import type { RequestStream } from '@tombolo/lab/mesh/request-stream.ts';
import { command } from '@tombolo/machine/command.ts';
import type { RequestCounts } from '@tombolo/machine/programs/request-log.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { recordFault } from '../faults.ts';
import { startRealMesh } from '../mesh.ts';
import { inMetallb, installMetallb, labelSpeakers, METALLB_SYSTEM, speakersOf } from './metallb.ts';
import { askInSubnet, askThroughRouter, NODES_ASN, ROUTER_ASN, TopOfRack, untilAt } from './top-of-rack.ts';
import { assertNoneFailed, webPod } from './web.ts';

const NAMES = ['east-1', 'east-2'];
const WORKERS = 2;
const WAN = '198.51.100.16';

/** The node whose name hashes lowest with the address: to MetalLB that of all addresses of a Service, here that of each. */
function firstFor(address: string): string {
  const hash = (node: string): string => createHash('sha256').update(`${node}#${address}`).digest('hex');
  return NAMES.toSorted((a, b) => (hash(a) < hash(b) ? -1 : 1))[0] ?? '';
}

const numbers = Array.from({ length: 20 }, (_, i) => 200 + i);
const V4 = numbers.map((n) => `10.0.1.${n}`).find((address) => firstFor(address) === 'east-1') ?? '';
/** MetalLB has it at the node of its Service's first address, against the hash of its own. */
const V6 = numbers.map((n) => `fd00::1:${n.toString(16)}`).find((address) => firstFor(address) === 'east-2') ?? '';

interface ListedService {
  readonly metadata: { readonly name: string };
  readonly status: { readonly loadBalancer: { readonly ingress?: readonly { readonly ip: string }[] } };
}

const service = (name: string, annotations: Readonly<Record<string, string>>, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default', annotations },
  spec: {
    ...{ type: 'LoadBalancer', selector: { app: 'web' } },
    ports: [{ name: 'http', port: 80, targetPort: 8080 }],
    ...more,
  },
});

describe('moving from MetalLB', () => {
  let mesh: Mesh;
  let east: ClusterHandle;
  let directory: string;
  const rack = new TopOfRack();

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tbl-speakers-'));
    const key = join(directory, 'key');
    await writeFile(key, 'known to the agents of this cluster', { mode: 0o600 });
    mesh = await startRealMesh({
      name: 'e2emoving',
      clusters: [{ name: 'east', id: 1, nodes: NAMES.length }],
      agent: { services: 'global', more: ({ name }) => ['--bgp-engine', rack.engineOf(name), '--speaker-key', key] },
      without: 'apiservers and agents',
    });
    east = mesh.cluster('east');
    await rack.startRouter(east);
    await installMetallb(mesh, east);
    const objects = [
      inMetallb('v1beta1', 'IPAddressPool', 'lan', { addresses: [`${V4}/32`, `${V6}/128`], autoAssign: false }),
      inMetallb('v1beta1', 'IPAddressPool', 'wan', { addresses: ['198.51.100.16/28'] }),
      inMetallb('v1beta1', 'L2Advertisement', 'lan', { ipAddressPools: ['lan'] }),
      inMetallb('v1beta1', 'BGPAdvertisement', 'wan', { ipAddressPools: ['wan'] }),
      service('lan', { 'metallb.io/address-pool': 'lan' }, { ipFamilyPolicy: 'RequireDualStack' }),
      service('wan', { 'metallb.io/loadBalancerIPs': WAN }),
      ...NAMES.map((node) => webPod(`web-${node}`, node)),
    ];
    await east.apply(objects);
    for (const node of NAMES) await east.pod(`web-${node}`);
  });
  after(async () => {
    await rack.end();
    await mesh?.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** By Service. */
  async function addresses(): Promise<Readonly<Record<string, readonly string[]>>> {
    const { items } = await east.api.get<{ readonly items: readonly ListedService[] }>(
      '/api/v1/namespaces/default/services',
    );
    return Object.fromEntries(
      items.map(({ metadata, status }) => [
        metadata.name,
        (status.loadBalancer.ingress ?? []).map((ingress) => ingress.ip),
      ]),
    );
  }

  const untilGiven = (...names: readonly string[]): Promise<unknown> =>
    waitUntil(`addresses for ${names}`, async () => {
      const all = await addresses();
      return names.every((name) => (all[name] ?? []).length > 0);
    });

  /** Who the nodes' network believes to have an address. */
  async function nodeOf(address: string): Promise<string | undefined> {
    const { netns } = east.plan.controlPlane;
    const entries = JSON.parse(await command(['ip', '-j', 'neigh', 'show', 'to', address], { netns })) as readonly {
      readonly lladdr?: string;
    }[];
    for (const { name, plan } of east.nodes) {
      const [link] = JSON.parse(await command(['ip', '-j', 'link', 'show', 'eth0'], { netns: plan.netns }));
      if (entries.some(({ lladdr }) => lladdr === link.address)) return name;
    }
    return undefined;
  }

  const answers = (address: string): Promise<unknown> =>
    waitUntil(`${address} to answer`, async () => {
      const url = `http://${address.includes(':') ? `[${address}]` : address}/`;
      await command(['curl', '-sS', '--max-time', '2', url], { netns: east.plan.controlPlane.netns });
      return true;
    });

  const lb = (node: string): Promise<string> => east.node(node).tombolo(['lb', 'services']);
  /** The row of an address, as the agent of a node has it. */
  const rowOf = async (node: string, address: string): Promise<string> =>
    (await lb(node)).split('\n').find((line) => line.startsWith(`${address} `)) ?? '';

  async function startTombolo(): Promise<void> {
    for (const { name, agent } of east.nodes) {
      await agent.start();
      await east.node(name).agentReady();
    }
  }

  const counted = (streams: readonly RequestStream[]): Promise<readonly RequestCounts[]> =>
    Promise.all(streams.map((stream) => stream.stop()));

  it('MetalLB gives the addresses, and answers for both of a Service from one node', async () => {
    await untilGiven('lan', 'wan');
    const given = await addresses();
    assert.deepEqual([given['lan'], given['wan']], [[V4, V6], [WAN]]);
    for (const address of [V4, V6]) {
      await answers(address);
      assert.equal(await nodeOf(address), 'east-1');
    }
  });

  it('Tombolo comes beside it: addresses stay, and the nodes that answer, and no request fails', async () => {
    const streams = await Promise.all([V4, V6].map((address) => askInSubnet(east, address, WORKERS)));
    for (const stream of streams) await stream.more(20);
    await east.apiserver.start();
    await east.apiserverReady();
    await startTombolo();
    await waitUntil('the same node to answer', async () => /east-1 \(here\)/.test(await rowOf('east-1', V4)));
    // By its own hash another node would have it: it is left to MetalLB.
    await waitUntil('MetalLB to be seen', async () => /another program/.test(await rowOf('east-2', V6)));
    for (const stream of streams) await stream.more(50);
    assert.deepEqual([await nodeOf(V4), await nodeOf(V6)], ['east-1', 'east-1']);
    for (const [i, counts] of (await counted(streams)).entries()) {
      recordFault({ fault: 'Tombolo comes beside MetalLB', way: i === 0 ? 'ARP' : 'NDP', requests: counts });
      assertNoneFailed(counts);
    }
  });

  it('both give addresses: none twice, and none is changed', async () => {
    const before = await addresses();
    const names = Array.from({ length: 12 }, (_, i) => `more-${i}`);
    await Promise.all(names.map((name) => east.apply([service(name, {})])));
    await untilGiven(...names);
    const after = await addresses();
    const all = Object.values(after).flat();
    assert.equal(new Set(all).size, all.length, JSON.stringify(after));
    for (const name of ['lan', 'wan']) assert.deepEqual(after[name], before[name]);
    for (const name of names) await east.kubectl(['delete', 'service', name, '--wait=false']);
  });

  it('MetalLB’s controller goes: Services keep what they have, and the next one gets its address', async () => {
    const before = await addresses();
    await east.kubectl(['-n', METALLB_SYSTEM, 'delete', 'deployment', 'controller']);
    await east.apply([service('next', {})]);
    await untilGiven('next');
    const after = await addresses();
    for (const name of ['lan', 'wan']) assert.deepEqual(after[name], before[name]);
  });

  it('MetalLB’s speakers go, all at once: no more than the requests under way fail', async () => {
    const streams = await Promise.all([V4, V6].map((address) => askInSubnet(east, address, WORKERS)));
    for (const stream of streams) await stream.more(20);
    await east.kubectl(['-n', METALLB_SYSTEM, 'delete', 'daemonset', 'speaker']);
    await waitUntil('no speaker', async () => (await speakersOf(east)).length === 0);
    await waitUntil('Tombolo to answer', async () => /east-2 \(here\)/.test(await rowOf('east-2', V6)));
    await waitUntil('the network to know', async () => (await nodeOf(V6)) === 'east-2');
    await waitUntil('the network to know', async () => (await nodeOf(V4)) === 'east-1');
    for (const stream of streams) await stream.more(50);
    for (const [i, counts] of (await counted(streams)).entries()) {
      recordFault({ fault: 'MetalLB’s speakers go, all at once', way: i === 0 ? 'ARP' : 'NDP', requests: counts });
      // The second address changes its node.
      assert.ok(counts.failed <= 2 * WORKERS, JSON.stringify(counts));
    }
  });

  it('with BGP, node by node: no more than the requests under way fail', async () => {
    await Promise.all(east.nodes.map(({ agent }) => agent.stop()));
    await installMetallb(mesh, east);
    await labelSpeakers(east);
    const address = east.plan.controlPlane.address;
    await east.apply([
      inMetallb('v1beta2', 'BGPPeer', 'tor', { myASN: NODES_ASN, peerASN: ROUTER_ASN, peerAddress: address }),
    ]);
    await untilAt(east, WAN, ...NAMES);
    // Until there is an FRR, they speak to no router.
    await startTombolo();
    const stream = await askThroughRouter(east, WAN, WORKERS);
    await stream.more(50);
    for (const { name, plan } of east.nodes) {
      await east.kubectl(['label', 'node', name, 'speaker-']);
      await waitUntil(`no speaker at ${name}`, async () => !(await speakersOf(east)).includes(name));
      await rack.startEngine(plan);
      await untilAt(east, WAN, ...NAMES);
      await waitUntil('its session', async () =>
        /10\.0\.1\.250 +65000 +Established/.test(await east.node(name).tombolo(['lb', 'peers'])),
      );
      await stream.more(50);
    }
    const counts = await stream.stop();
    recordFault({ fault: 'MetalLB’s speakers go, node by node', way: 'BGP', requests: counts });
    assert.ok(counts.failed <= NAMES.length * WORKERS, JSON.stringify(counts));
  });
});
