/**
 * The router above the nodes of a cluster: FRR at the place of its control plane, and FRR beside the agent of every node.
 * Clients are behind it, in a network of their own: a router that asks itself would send its own resets another way than
 * the rest of a connection.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import { RequestStream } from '@tombolo/lab/mesh/request-stream.ts';
import { Frr } from '@tombolo/lab/segment/routers.ts';
import { command } from '@tombolo/machine/command.ts';
import { createNetns, ip, setSysctls } from '@tombolo/machine/netns.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';

export const ROUTER_ASN = 65_000;
export const NODES_ASN = 65_010;

export interface LearnedPath {
  readonly community?: { readonly string: string };
  readonly nexthops: readonly { readonly ip: string }[];
}

export class TopOfRack {
  readonly #directory = mkdtempSync(join(tmpdir(), 'tbl-e2e-bgp-'));
  readonly #children: ChildProcess[] = [];
  #router: Frr | undefined;

  constructor() {
    chmodSync(this.#directory, 0o755);
  }

  /** The directory of FRR on a node, for its agent. */
  engineOf(node: string): string {
    return join(this.#directory, node);
  }

  /** It takes every session that nodes open, spreads over them, and watches by BFD who wants it. */
  async startRouter(cluster: ClusterHandle): Promise<void> {
    const { controlPlane, nodes } = cluster.plan;
    const peers = nodes.map(
      ({ address }) => ` neighbor ${address} remote-as ${NODES_ASN}
 neighbor ${address} passive
 neighbor ${address} bfd
 address-family ipv4 unicast
  neighbor ${address} activate
 exit-address-family`,
    );
    // By the ports, too: one client is spread.
    await setSysctls(controlPlane.netns, { 'net/ipv4/fib_multipath_hash_policy': 1 });
    await connectClient(cluster);
    this.#router = this.#frr('router', controlPlane.netns, false);
    await this.#router.start(`router bgp ${ROUTER_ASN}
 bgp router-id 10.0.1.250
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp graceful-restart
 bgp bestpath as-path multipath-relax
${peers.join('\n')}
`);
  }

  async startEngines({ plan }: ClusterHandle): Promise<void> {
    for (const node of plan.nodes) await this.startEngine(node);
  }

  startEngine({ name, netns }: NodePlan): Promise<void> {
    return this.#frr(name, netns, true).start();
  }

  /** Who is watched by BFD, as FRR's own people read it. */
  bfdPeers(): Promise<string> {
    return this.#router?.text('show bfd peers', 'bfdd') ?? Promise.reject(new Error('There is no router'));
  }

  /** What it has learned of an address. */
  async pathsTo(address: string): Promise<readonly LearnedPath[]> {
    const route = await this.#router?.ask<{ readonly paths?: readonly LearnedPath[] }>(
      `show bgp ipv4 unicast ${address} json`,
    );
    return route?.paths ?? [];
  }

  #frr(name: string, netns: string, isNode: boolean): Frr {
    const place = {
      directory: join(this.#directory, name),
      spawn: (argv: readonly string[]) => {
        const child = spawn('nsenter', [`--net=/run/netns/${netns}`, ...argv], { stdio: 'ignore' });
        this.#children.push(child);
        return child;
      },
    };
    return new Frr(place, isNode);
  }

  /** To be called before the mesh is closed. */
  async end(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(this.#children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** The nodes to which the router leads the address, by what its kernel has. */
export async function nextHops({ plan }: ClusterHandle, address: string): Promise<readonly string[]> {
  const { netns } = plan.controlPlane;
  const routes = JSON.parse(
    await command(['ip', '-j', 'route', 'show', 'exact', `${address}/32`], { netns }),
  ) as readonly {
    readonly gateway?: string;
    readonly nexthops?: readonly { readonly gateway: string }[];
  }[];
  const gateways = routes.flatMap(({ gateway, nexthops = [] }) => [
    ...(gateway === undefined ? [] : [gateway]),
    ...nexthops.map((each) => each.gateway),
  ]);
  return plan.nodes.filter(({ address }) => gateways.includes(address)).map(({ name }) => name);
}

export const untilAt = (cluster: ClusterHandle, address: string, ...nodes: readonly string[]): Promise<unknown> =>
  waitUntil(
    `${address} to be at ${nodes}`,
    async () => JSON.stringify(await nextHops(cluster, address)) === JSON.stringify(nodes),
  );

const CLIENTS = { network: '192.0.2.0/24', router: '192.0.2.1', client: '192.0.2.2' };
/** Documentation's networks, which pools of the tests are of. */
const SERVED = ['198.51.100.0/24', '203.0.113.0/24'];
/** By its name, it goes with the mesh. */
const clientNetns = ({ plan }: ClusterHandle): string => `${plan.controlPlane.netns}-client`;

/** One client behind the router. It has no way to anything but what pools give. */
async function connectClient(cluster: ClusterHandle): Promise<void> {
  const { controlPlane, nodes } = cluster.plan;
  const netns = clientNetns(cluster);
  await createNetns([netns]);
  await ip(controlPlane.netns, [
    `link add clients type veth peer name eth0 netns ${netns}`,
    `address add ${CLIENTS.router}/24 dev clients`,
    'link set clients up',
    ...SERVED.map((network) => `route add unreachable ${network} metric 4000`),
  ]);
  const routes = SERVED.map((network) => `route add ${network} via ${CLIENTS.router}`);
  await ip(netns, [`address add ${CLIENTS.client}/24 dev eth0`, 'link set lo up', 'link set eth0 up', ...routes]);
  for (const node of nodes) await ip(node.netns, [`route add ${CLIENTS.network} via ${controlPlane.address}`]);
}

/** Requests from the client, without a pause. */
export function askThroughRouter(cluster: ClusterHandle, address: string, workers: number): Promise<RequestStream> {
  const { controlPlane, directory } = cluster.plan;
  const place = { netns: clientNetns(cluster), cgroup: controlPlane.cgroup, name: 'client', directory };
  return RequestStream.start(`http://${address}/`, { workers }, place);
}

/** The same from a machine in the nodes' own network. */
export function askInSubnet({ plan }: ClusterHandle, address: string, workers: number): Promise<RequestStream> {
  const place = { ...plan.controlPlane, name: 'outside', directory: plan.directory };
  return RequestStream.start(`http://${address.includes(':') ? `[${address}]` : address}/`, { workers }, place);
}
