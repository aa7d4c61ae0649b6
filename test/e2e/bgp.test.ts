/**
 * The story "I moved from MetalLB to Cilium", with Tombolo in Cilium's place and its manifests as they are: a pool with a
 * selector, an ingress's Service with a fixed address by annotation, and a `CiliumBGPPeeringPolicy` towards a router that
 * speaks BGP. On the real Kubernetes; the router is FRR, in the network of the nodes, and asks for what it has learned.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import { RequestStream } from '@tombolo/lab/mesh/request-stream.ts';
import { Frr } from '@tombolo/lab/segment/routers.ts';
import { command } from '@tombolo/machine/command.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { startRealMesh } from '../mesh.ts';
import { installPoolKinds, putCiliumPool } from '../pools.ts';
import { assertNoneFailed, webPod } from './web.ts';

const VIP = '203.0.113.10';
const NODES = 2;

const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    ...{ name: 'ingress', namespace: 'default', labels: { exposed: 'yes' } },
    annotations: { 'io.cilium/lb-ipam-ips': VIP },
  },
  spec: {
    ...{ type: 'LoadBalancer', selector: { app: 'web' } },
    ports: [{ name: 'http', port: 80, targetPort: 8080 }],
  },
};

const policy = (router: string) => ({
  apiVersion: 'cilium.io/v2alpha1',
  kind: 'CiliumBGPPeeringPolicy',
  metadata: { name: 'firewall' },
  spec: {
    nodeSelector: { matchLabels: { 'kubernetes.io/os': 'linux' } },
    virtualRouters: [
      {
        ...{ localASN: 65_010, exportPodCIDR: false, serviceSelector: { matchLabels: { exposed: 'yes' } } },
        neighbors: [
          {
            ...{ peerAddress: `${router}/32`, peerASN: 65_000, connectRetryTimeSeconds: 1 },
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

describe('an address announced by BGP, as Cilium’s manifests have it', () => {
  let mesh: Mesh;
  let east: ClusterHandle;
  let directory: string;
  let router: Frr;
  const children: ChildProcess[] = [];

  /** FRR in a namespace of the mesh. */
  function frr(name: string, netns: string, isNode: boolean): Frr {
    const place = {
      directory: join(directory, name),
      spawn: (argv: readonly string[]) => {
        const child = spawn('nsenter', [`--net=/run/netns/${netns}`, ...argv], { stdio: 'ignore' });
        children.push(child);
        return child;
      },
    };
    return new Frr(place, isNode);
  }

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tbl-e2e-bgp-'));
    chmodSync(directory, 0o755);
    mesh = await startRealMesh({
      name: 'e2ebgp',
      clusters: [{ name: 'east', id: 1, nodes: NODES }],
      agent: { services: 'all', more: (node) => ['--bgp-engine', join(directory, node.name)] },
      without: 'agents',
    });
    east = mesh.cluster('east');
    const { controlPlane, nodes } = east.plan;
    router = frr('router', controlPlane.netns, false);
    const peers = nodes.map(
      ({ address }) => ` neighbor ${address} remote-as 65010
 neighbor ${address} passive
 address-family ipv4 unicast
  neighbor ${address} activate
 exit-address-family`,
    );
    await router.start(`router bgp 65000
 bgp router-id 10.0.1.250
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp graceful-restart
 bgp bestpath as-path multipath-relax
${peers.join('\n')}
`);
    for (const node of nodes) await frr(node.name, node.netns, true).start();
    await installPoolKinds(east.api);
    for (const { agent } of east.nodes) await agent.start();
    for (const each of east.nodes) await each.agentReady();
    await putCiliumPool(east.api, 'exposed', {
      ...{ blocks: [{ cidr: '203.0.113.0/24' }], serviceSelector: { matchLabels: { exposed: 'yes' } } },
    });
    await east.kubectl(['label', 'nodes', '--all', '--overwrite', 'kubernetes.io/os=linux']);
    await east.apply([SERVICE, ...nodes.map(({ name }) => webPod(`web-${name}`, name))]);
    for (const { name } of nodes) await east.pod(`web-${name}`);
    await east.kubectl(['apply', '-f', '-'], JSON.stringify(policy(controlPlane.address)));
  });
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
    await mesh?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** The nodes to which the router leads the address, by what its kernel has. */
  async function nextHops(): Promise<readonly string[]> {
    const { netns } = east.plan.controlPlane;
    const routes = JSON.parse(await command(['ip', '-j', 'route', 'show', VIP], { netns })) as readonly {
      readonly gateway?: string;
      readonly nexthops?: readonly { readonly gateway: string }[];
    }[];
    const gateways = routes.flatMap(({ gateway, nexthops = [] }) => [
      ...(gateway === undefined ? [] : [gateway]),
      ...nexthops.map((each) => each.gateway),
    ]);
    return east.plan.nodes.filter(({ address }) => gateways.includes(address)).map(({ name }) => name);
  }

  const untilAt = (...nodes: readonly string[]): Promise<unknown> =>
    waitUntil(`${VIP} to be at ${nodes}`, async () => JSON.stringify(await nextHops()) === JSON.stringify(nodes));

  const ask = (): Promise<RequestStream> => {
    const place = { ...east.plan.controlPlane, name: 'outside', directory: east.plan.directory };
    return RequestStream.start(`http://${VIP}/`, { workers: 4 }, place);
  };

  it('is the one that the annotation names, is at every node, and every pod answers', async () => {
    await untilAt('east-1', 'east-2');
    const stream = await ask();
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
  });

  it('stays while agents are killed and come back: no request fails', async () => {
    const stream = await ask();
    await stream.more(50);
    for (const node of east.nodes) {
      await node.agent.kill();
      await stream.more(50);
      await node.agent.start();
      await node.agentReady();
      await stream.more(50);
    }
    assert.deepEqual(await nextHops(), ['east-1', 'east-2']);
    assertNoneFailed(await stream.stop());
  });

  it('is where endpoints are, under policy Local, and nowhere when there are none', async () => {
    await east.kubectl(['patch', 'service', 'ingress', '-p', '{"spec":{"externalTrafficPolicy":"Local"}}']);
    await untilAt('east-1', 'east-2');
    await east.kubectl(['delete', 'pod', 'web-east-1', '--now']);
    await untilAt('east-2');
    await east.kubectl(['delete', 'pod', 'web-east-2', '--now']);
    await untilAt();
    await east.apply([webPod('web-east-1', 'east-1')]);
    await untilAt('east-1');
  });

  it('is withdrawn with the policy', async () => {
    await east.kubectl(['delete', 'ciliumbgppeeringpolicy', 'firewall']);
    await untilAt();
  });
});
