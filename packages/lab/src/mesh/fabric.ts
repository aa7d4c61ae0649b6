/**
 * Lays the network of a mesh: the underlay (a namespace with one bridge for each cluster and one that joins them) and
 * on it the namespaces of nodes and control planes, with routes to each other's pods. There is no link to anything
 * outside and no default route.
 *
 * F1. A namespace gets its unreachable routes for service addresses before it gets its first link.
 */

import { createNetns, ip, setSysctls } from '@tombolo/machine/netns.ts';
import type { NodePlan, StationPlan } from '@tombolo/machine/node-plan.ts';
import { allDone } from '@tombolo/machine/wait.ts';
import { allNodes, type MeshPlan, SERVICE_CIDR, SERVICE_CIDR6, stations } from './plan.ts';

const LOOSE = {
  'net/ipv4/conf/all/rp_filter': 0,
  'net/ipv4/conf/default/rp_filter': 0,
  'net/ipv6/conf/all/disable_ipv6': 0,
  'net/ipv6/conf/all/accept_ra': 0,
  'net/ipv6/conf/default/accept_ra': 0,
  'net/ipv6/conf/all/accept_dad': 0,
  'net/ipv6/conf/default/accept_dad': 0,
};
const FORWARDING = { ...LOOSE, 'net/ipv4/ip_forward': 1, 'net/ipv6/conf/all/forwarding': 1 };

/** Routes that no packet to a service address gets past, whatever else goes wrong. */
const SERVICE_GUARD = [`route add unreachable ${SERVICE_CIDR}`, `route add unreachable ${SERVICE_CIDR6}`];

/** Where a station looks for the way of its own packets to services. */
export const SINK_TABLE = 96;

export async function layFabric(plan: MeshPlan): Promise<void> {
  const all = stations(plan);
  await createNetns([plan.underlay, ...all.map(({ netns }) => netns)]);
  await allDone(all.map((station) => prepareStation(station)));
  await ip(plan.underlay, underlayLines(plan));
  await allDone(all.map((station) => connectStation(plan, station)));
}

/** One more station for a mesh that is up; `plan` has it. */
export async function layStation(plan: MeshPlan, bridge: string, station: StationPlan): Promise<void> {
  await createNetns([station.netns]);
  await prepareStation(station);
  await ip(plan.underlay, linkLines(bridge, station));
  await connectStation(plan, station);
}

const linkLines = (bridge: string, { link, netns }: StationPlan): readonly string[] => [
  `link add ${link} type veth peer name eth0 netns ${netns}`,
  `link set ${link} master ${bridge} up`,
];

async function connectStation(plan: MeshPlan, station: StationPlan): Promise<void> {
  await ip(station.netns, stationLines(plan, station));
  const rule = `rule add iif lo lookup ${SINK_TABLE} priority ${SINK_TABLE}`;
  await allDone([ip(station.netns, [rule]), ip(station.netns, [rule], '-6')]);
}

async function prepareStation({ netns }: StationPlan): Promise<void> {
  await setSysctls(netns, FORWARDING);
  await ip(netns, ['link set lo up', ...SERVICE_GUARD]);
}

function underlayLines(plan: MeshPlan): readonly string[] {
  const lines = ['link set lo up', 'link add core type bridge mcast_snooping 0', 'link set core up'];
  for (const { bridge, uplink, controlPlane, nodes } of plan.clusters) {
    lines.push(
      `link add ${bridge} type bridge mcast_snooping 0`,
      `link set ${bridge} up`,
      `link add ${uplink} type veth peer name ${bridge}-down`,
      ...[`${uplink} master ${bridge} up`, `${bridge}-down master core up`].map((link) => `link set ${link}`),
    );
    for (const station of [controlPlane, ...nodes]) lines.push(...linkLines(bridge, station));
  }
  return lines;
}

function stationLines(plan: MeshPlan, station: StationPlan): readonly string[] {
  return [
    `address add ${station.address}/16 dev eth0`,
    `address add ${station.address6}/64 dev eth0 nodad`,
    'link set eth0 up',
    ...sinkLines(station),
    ...allNodes(plan).flatMap((node) => podRoutes(node, station)),
    ...(plan.kubernetes.kind === 'real' ? FORWARDED_TO_SINK : []),
  ];
}

/**
 * The kernel looks for a route before its output hooks may translate a service address, and real nodes have a default
 * route to pass that look. Here the host's own packets (and only those: `iif lo`) find a link that ends in itself, and
 * are lost there unless somebody translates them.
 */
function sinkLines({ address, address6 }: StationPlan): readonly string[] {
  return [
    'link add sink type veth peer name sink-end',
    'link set sink up',
    `route add ${SERVICE_CIDR} dev sink src ${address} table ${SINK_TABLE}`,
    `route add ${SERVICE_CIDR6} dev sink src ${address6} table ${SINK_TABLE}`,
  ];
}

/**
 * A service proxy that refuses or translates in the forwarding path needs a route there, too; kube-proxy does the former.
 */
const FORWARDED_TO_SINK = [`route replace ${SERVICE_CIDR} dev sink`, `route replace ${SERVICE_CIDR6} dev sink`];

/** Own pods have a route each (see the kubelet); addresses without a pod are refused and do not wander. */
function podRoutes(node: NodePlan, station: StationPlan): readonly string[] {
  return node.netns === station.netns
    ? [`route add unreachable ${node.podCidr}`, `route add unreachable ${node.podCidr6}`]
    : [`route add ${node.podCidr} via ${node.address}`, `route add ${node.podCidr6} via ${node.address6}`];
}

/** Cuts a link of the underlay: what is sent over it is lost without a word, as with a cable pulled out further away. */
export async function cutLink(plan: MeshPlan, link: string): Promise<void> {
  await ip(plan.underlay, [`link set ${link} nomaster`]);
}

export async function healLink(plan: MeshPlan, link: string, bridge: string): Promise<void> {
  await ip(plan.underlay, [`link set ${link} master ${bridge}`]);
}
