/**
 * A pod's network: a namespace of its own behind a veth pair into the node's. The pod's only route is its node; the node
 * has a route to each pod. No bridge between them, so that every packet of a pod passes the node's forwarding path,
 * where kube-proxy and the nftables datapath work.
 */
import { createNetns, ip, setSysctls } from '@tombolo/machine/netns.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import type { PodAddresses } from './address-pool.ts';
import type { PodPlaces } from './pod-places.ts';

const NO_DAD = { 'net/ipv6/conf/default/accept_dad': 0, 'net/ipv6/conf/all/disable_ipv6': 0 };

export async function connectPod(node: NodePlan, { netns, link }: PodPlaces, addresses: PodAddresses): Promise<void> {
  await createNetns([netns]);
  await setSysctls(netns, NO_DAD);
  await ip(node.netns, [
    `link add ${link} type veth peer name eth0 netns ${netns}`,
    `address add ${node.gateway}/32 dev ${link}`,
    `address add ${node.gateway6}/128 dev ${link} nodad`,
    `link set ${link} up`,
    `route add ${addresses.ipv4}/32 dev ${link}`,
    `route add ${addresses.ipv6}/128 dev ${link}`,
  ]);
  await ip(netns, [
    'link set lo up',
    `address add ${addresses.ipv4}/32 dev eth0`,
    `address add ${addresses.ipv6}/128 dev eth0 nodad`,
    'link set eth0 up',
    `route add ${node.gateway}/32 dev eth0 scope link`,
    `route add default via ${node.gateway} dev eth0`,
    `route add ${node.gateway6}/128 dev eth0`,
    `route add default via ${node.gateway6} dev eth0`,
  ]);
}
