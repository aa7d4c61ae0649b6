/**
 * What a datapath has to know of the node that it runs on. Who is inside the cluster is known by address, whoever gives
 * the addresses: prefixes that the Node has for its pods, and the pods themselves where theirs are others. What comes
 * from outside the node is known by the interface, too, since a pod's address may not be known yet when it first speaks.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Cidr, cidr, compareIps, hostCidr, type IpAddress, prefixMatcher } from '@tombolo/shared/model/ip.ts';
import type { InterfaceAddress } from './netlink/addresses.ts';

/** Immutable; another object whenever something is different. */
export interface NodeFacts {
  /** Prefixes of this node's own pods. */
  readonly pods: readonly Cidr[];
  /** Where NodePorts are answered. */
  readonly nodePorts: readonly Cidr[];
  readonly addresses: ReadonlySet<IpAddress>;
  /** With the interface that has each, by its index and the address. */
  readonly interfaces: readonly InterfaceAddress[];
  /** Addresses that the Node is known by. */
  readonly known: readonly IpAddress[];
  /** The indices of interfaces with an address that the Node is known by. */
  readonly uplinks: readonly number[];
}

/** On which addresses of the node NodePorts are answered; `primary`: on those that the Node is known by. */
export type NodePortAddresses = 'all' | 'primary' | readonly Cidr[];

const EVERYWHERE: readonly Cidr[] = [cidr('0.0.0.0/0'), cidr('::/0')];
export const NO_NODE_FACTS: NodeFacts = {
  pods: [],
  nodePorts: EVERYWHERE,
  addresses: new Set(),
  interfaces: [],
  known: [],
  uplinks: [],
};

export interface NodeSources {
  /** What the Node object says. */
  readonly addresses: readonly IpAddress[];
  readonly podCidrs: readonly Cidr[];
  /** Of the pods on this node that are not in its own network. */
  readonly pods: readonly IpAddress[];
  readonly interfaces: readonly InterfaceAddress[];
  readonly nodePortAddresses: NodePortAddresses;
}

/** Pure; the same object as `before` if that says the same. */
export function nodeFacts(sources: NodeSources, before: NodeFacts = NO_NODE_FACTS): NodeFacts {
  const { addresses, podCidrs, pods, interfaces, nodePortAddresses } = sources;
  const prefixOf = prefixMatcher(podCidrs);
  const others = pods.filter((pod) => !prefixOf(pod)).toSorted(compareIps);
  const known = new Set(addresses);
  const uplinks = interfaces.filter(({ address }) => known.has(address)).map(({ index }) => index);
  const facts: NodeFacts = {
    pods: [...podCidrs, ...others.map(hostCidr)],
    nodePorts: nodePortsOf(nodePortAddresses, addresses),
    addresses: new Set(interfaces.map(({ address }) => address).toSorted(compareIps)),
    interfaces: interfaces.toSorted((a, b) => a.index - b.index || compareIps(a.address, b.address)),
    known: addresses,
    uplinks: [...new Set(uplinks)].toSorted((a, b) => a - b),
  };
  return isDeepStrictEqual(facts, before) ? before : facts;
}

function nodePortsOf(where: NodePortAddresses, primary: readonly IpAddress[]): readonly Cidr[] {
  if (where === 'all') return EVERYWHERE;
  return where === 'primary' ? primary.map(hostCidr) : where;
}
