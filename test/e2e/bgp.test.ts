/**
 * Two stories in one cluster, told with the manifests of the products that Tombolo stands for, as they are. "I moved from
 * MetalLB to Cilium": a pool with a selector, an ingress's Service with a fixed address by annotation, and a
 * `CiliumBGPPeeringPolicy` towards a router that speaks BGP. And MetalLB as it is used on bare metal: a pool of another
 * network than the nodes', every node a peer of the top-of-rack router, which spreads over them.
 *
 * On the real Kubernetes; the router is FRR, in the network of the nodes, and asks for what it has learned.
 */
import assert from 'node:assert/strict';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import { cutLink, healLink } from '@tombolo/lab/mesh/fabric.ts';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import { command } from '@tombolo/machine/command.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { recordFault, stopwatch } from '../faults.ts';
import { startRealMesh } from '../mesh.ts';
import { installPoolKinds, installStatusKinds, putCiliumPool } from '../pools.ts';
import { askThroughRouter, NODES_ASN, nextHops, ROUTER_ASN, TopOfRack, untilAt } from './top-of-rack.ts';
import { assertNoneFailed, webPod } from './web.ts';

const NODES = 2;
const WORKERS = 4;

const service = (name: string, { labels = {}, annotations = {} }) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default', labels, annotations },
  spec: {
    ...{ type: 'LoadBalancer', selector: { app: 'web' } },
    ports: [{ name: 'http', port: 80, targetPort: 8080 }],
  },
});

describe('addresses announced by BGP', () => {
  let mesh: Mesh;
  let east: ClusterHandle;
  const rack = new TopOfRack();

  before(async () => {
    mesh = await startRealMesh({
      name: 'e2ebgp',
      clusters: [{ name: 'east', id: 1, nodes: NODES }],
      agent: { services: 'all', more: ({ name }) => ['--bgp-engine', rack.engineOf(name), '--bgp-drain=3'] },
      without: 'agents',
    });
    east = mesh.cluster('east');
    await rack.startRouter(east);
    await rack.startEngines(east);
    await installPoolKinds(east.api);
    await installStatusKinds(east.api);
    await east.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'metallb-system' } }]);
    for (const { agent } of east.nodes) await agent.start();
    for (const each of east.nodes) await each.agentReady();
    await east.kubectl(['label', 'nodes', '--all', '--overwrite', 'kubernetes.io/os=linux']);
    await east.apply(east.nodes.map(({ name }) => webPod(`web-${name}`, name)));
    for (const { name } of east.nodes) await east.pod(`web-${name}`);
  });
  after(async () => {
    await rack.end();
    await mesh?.close();
  });

  const ask = (address: string) => askThroughRouter(east, address, WORKERS);

  async function agentsAreKilled(address: string): Promise<void> {
    const stream = await ask(address);
    await stream.more(50);
    for (const node of east.nodes) {
      await node.agent.kill();
      await stream.more(50);
      await node.agent.start();
      await node.agentReady();
      await stream.more(50);
    }
    assert.deepEqual(await nextHops(east, address), ['east-1', 'east-2']);
    const counts = await stream.stop();
    recordFault({ fault: 'agent is killed, and started', way: 'BGP', requests: counts });
    assertNoneFailed(counts);
  }

  describe('as Cilium’s manifests have it', () => {
    const VIP = '203.0.113.10';
    const policy = (router: string) => ({
      apiVersion: 'cilium.io/v2alpha1',
      kind: 'CiliumBGPPeeringPolicy',
      metadata: { name: 'firewall' },
      spec: {
        nodeSelector: { matchLabels: { 'kubernetes.io/os': 'linux' } },
        virtualRouters: [
          {
            ...{ localASN: NODES_ASN, exportPodCIDR: false, serviceSelector: { matchLabels: { exposed: 'yes' } } },
            neighbors: [
              {
                ...{ peerAddress: `${router}/32`, peerASN: ROUTER_ASN, connectRetryTimeSeconds: 1 },
                ...{
                  holdTimeSeconds: 9,
                  keepAliveTimeSeconds: 3,
                  gracefulRestart: { enabled: true, restartTimeSeconds: 60 },
                },
                families: [{ afi: 'ipv4', safi: 'unicast' }],
              },
            ],
          },
        ],
      },
    });

    before(async () => {
      await putCiliumPool(east.api, 'exposed', {
        ...{ blocks: [{ cidr: '203.0.113.0/24' }], serviceSelector: { matchLabels: { exposed: 'yes' } } },
      });
      const annotations = { 'io.cilium/lb-ipam-ips': VIP };
      await east.apply([service('ingress', { labels: { exposed: 'yes' }, annotations })]);
      await east.kubectl(['apply', '-f', '-'], JSON.stringify(policy(east.plan.controlPlane.address)));
    });

    it('is the one that the annotation names, is at every node, and every pod answers', async () => {
      await untilAt(east, VIP, 'east-1', 'east-2');
      const stream = await ask(VIP);
      await stream.more(100);
      const counts = await stream.stop();
      assertNoneFailed(counts);
      assert.equal(Object.keys(counts.by).length, NODES);
      assert.match(
        await east.node(1).tombolo(['lb', 'routes']),
        /203\.0\.113\.10\/32 +10\.0\.1\.250 +- +- +default\/ingress/,
      );
      assert.match(
        await east.node(1).tombolo(['lb', 'peers']),
        /10\.0\.1\.250 +65000 +Established .* CiliumBGPPeeringPolicy firewall/,
      );
      const said = () => east.kubectl(['-n', 'metallb-system', 'get', 'servicebgpstatuses', '-o', 'json']);
      await waitUntil('status for both nodes', async () => {
        const { items } = JSON.parse(await said()) as { readonly items: readonly { status?: { peers?: string[] } }[] };
        return items.length === NODES && items.every(({ status }) => `${status?.peers}` === '10.0.1.250');
      });
    });

    it('stays while agents are killed and come back: no request fails', () => agentsAreKilled(VIP));

    it('leaves a node that is excluded, which is the last resort of the router first', async () => {
      const { address } = east.plan.nodes[0] ?? assert.fail();
      const said = async (): Promise<string | undefined> =>
        (await rack.pathsTo(VIP)).find(({ nexthops }) => nexthops[0]?.ip === address)?.community?.string;
      const label = (value: string) =>
        east.kubectl(['label', 'node', 'east-1', `node.kubernetes.io/exclude-from-external-load-balancers${value}`]);
      const stream = await ask(VIP);
      await stream.more(50);
      await label('=');
      await waitUntil('the community', async () => (await said()) === 'graceful-shutdown', { everyMs: 10 });
      await untilAt(east, VIP, 'east-2');
      await waitUntil('it to be withdrawn', async () => (await rack.pathsTo(VIP)).length === 1);
      await stream.more(50);
      await label('-');
      await untilAt(east, VIP, 'east-1', 'east-2');
      assert.equal(await said(), undefined);
      await stream.more(50);
      const counts = await stream.stop();
      // Nodes stand in for clients: a connection that is open while its way changes ends.
      assert.ok(counts.failed <= 2 * WORKERS, JSON.stringify(counts));
    });

    it('is where endpoints are, under policy Local, and nowhere when there are none', async () => {
      await east.kubectl(['patch', 'service', 'ingress', '-p', '{"spec":{"externalTrafficPolicy":"Local"}}']);
      await untilAt(east, VIP, 'east-1', 'east-2');
      await east.kubectl(['delete', 'pod', 'web-east-1', '--now']);
      await untilAt(east, VIP, 'east-2');
      await east.kubectl(['delete', 'pod', 'web-east-2', '--now']);
      await untilAt(east, VIP);
      await east.apply([webPod('web-east-1', 'east-1')]);
      await untilAt(east, VIP, 'east-1');
    });

    it('is withdrawn with the policy', async () => {
      await east.kubectl(['delete', 'ciliumbgppeeringpolicy', 'firewall']);
      await untilAt(east, VIP);
    });
  });

  // Its pods are at east-1 only: losing east-2 is losing a way, and nothing else.
  describe('as MetalLB’s manifests have it', () => {
    const VIP = '198.51.100.20';
    const inMetallb = (apiVersion: string, kind: string, name: string, spec: object) => ({
      ...{ apiVersion: `metallb.io/${apiVersion}`, kind, metadata: { name, namespace: 'metallb-system' }, spec },
    });

    before(async () => {
      await east.apply([
        inMetallb('v1beta1', 'IPAddressPool', 'wan', { addresses: ['198.51.100.16/28'], autoAssign: false }),
        inMetallb('v1beta1', 'BGPAdvertisement', 'wan', { ipAddressPools: ['wan'] }),
        inMetallb('v1beta1', 'BFDProfile', 'fast', { receiveInterval: 100, transmitInterval: 100 }),
        inMetallb('v1beta2', 'BGPPeer', 'tor', {
          ...{ myASN: NODES_ASN, peerASN: ROUTER_ASN, peerAddress: east.plan.controlPlane.address },
          ...{ holdTime: '90s', connectTime: '1s', bfdProfile: 'fast' },
        }),
        service('web', { annotations: { 'metallb.io/loadBalancerIPs': VIP } }),
      ]);
    });

    /** How many connections the router has led to each node. */
    async function connectionsBy(body: () => Promise<void>): Promise<readonly number[]> {
      const at = { netns: east.plan.controlPlane.netns };
      const rules = east.plan.nodes.map(
        ({ address }) => `add rule ip spread out ip daddr ${VIP} rt nexthop ${address} tcp flags syn counter`,
      );
      const chain = 'add table ip spread; add chain ip spread out { type filter hook postrouting priority 0; }';
      await command(['nft', [chain, ...rules].join('; ')], at);
      await body();
      const list = await command(['nft', 'list', 'table', 'ip', 'spread'], at);
      await command(['nft', 'delete', 'table', 'ip', 'spread'], at);
      return [...list.matchAll(/packets (\d+)/g)].map(([, count]) => Number(count));
    }

    it('is spread over the nodes by the router, and no request fails', async () => {
      await untilAt(east, VIP, 'east-1', 'east-2');
      const [first = 0, second = 0] = await connectionsBy(async () => {
        const stream = await ask(VIP);
        await stream.more(400);
        assertNoneFailed(await stream.stop());
      });
      assert.ok(first + second >= 400, `${first} and ${second}`);
      assert.ok(Math.min(first, second) >= 100, `${first} and ${second}`);
      assert.match(await east.node(2).tombolo(['lb', 'peers']), /10\.0\.1\.250 +65000 +Established .* BGPPeer tor/);
    });

    it('stays while agents are killed and come back: no request fails', () => agentsAreKilled(VIP));

    it('loses no more than the requests under way when a node is cut off, long before its session ends', async () => {
      const [, node] = east.plan.nodes;
      assert.ok(node);
      await waitUntil('BFD', async () => /Status: up/.test(await rack.bfdPeers()));
      const stream = await ask(VIP);
      await stream.more(50);
      const took = stopwatch();
      await cutLink(mesh.plan, node.link);
      await untilAt(east, VIP, 'east-1');
      const tookMs = took();
      await stream.more(50);
      await healLink(mesh.plan, node.link, east.plan.bridge);
      await untilAt(east, VIP, 'east-1', 'east-2');
      await stream.more(50);
      const counts = await stream.stop();
      recordFault({ fault: 'node is cut off, with BFD', way: 'BGP', tookMs, requests: counts });
      assert.ok(counts.failed <= 2 * WORKERS, JSON.stringify(counts));
    });

    it('is withdrawn with the last backend, and announced again only when there is one that answers', async () => {
      await east.kubectl(['delete', 'pod', 'web-east-1', '--now', '--wait=false']);
      await waitUntil('Kubernetes to have no endpoint', async () => (await endpoints()) === 0);
      const took = stopwatch();
      await untilAt(east, VIP);
      recordFault({ fault: 'last backend is gone', way: 'BGP', tookMs: took() });
      await east.apply([webPod('web-again', 'east-1')]);
      await untilAt(east, VIP, 'east-1', 'east-2');
      const stream = await ask(VIP);
      await stream.more(100);
      assertNoneFailed(await stream.stop());
    });

    it('loses no more than the requests under way when a node loses its last backend under policy Local', async () => {
      await east.kubectl(['patch', 'service', 'web', '-p', '{"spec":{"externalTrafficPolicy":"Local"}}']);
      await untilAt(east, VIP, 'east-1');
      await east.apply([webPod('web-second', 'east-2')]);
      await untilAt(east, VIP, 'east-1', 'east-2');
      const stream = await ask(VIP);
      const before = await stream.more(100);
      assert.equal(Object.keys(before.by).length, NODES);
      const took = stopwatch();
      await east.kubectl(['delete', 'pod', 'web-second', '--wait=false']);
      await untilAt(east, VIP, 'east-1');
      const tookMs = took();
      await stream.more(100);
      const counts = await stream.stop();
      recordFault({ fault: 'last backend of a node goes, policy Local', way: 'BGP', tookMs, requests: counts });
      assert.ok(counts.failed <= WORKERS, JSON.stringify(counts));
    });

    async function endpoints(): Promise<number> {
      const path = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
      const { items } = await east.api.get<{
        readonly items: readonly { readonly endpoints?: readonly unknown[] | null }[];
      }>(`${path}?labelSelector=kubernetes.io/service-name%3Dweb`);
      return items.reduce((sum, { endpoints }) => sum + (endpoints?.length ?? 0), 0);
    }
  });
});
