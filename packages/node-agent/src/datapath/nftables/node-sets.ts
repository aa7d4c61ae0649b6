/** What is known of the node, as the elements of the sets that the rules ask. Pure. */
import { attribute, hostWord } from '../netlink/messages.ts';
import type { NodeFacts } from '../node-facts.ts';
import type { Family } from './family.ts';
import { encodePrefixes } from './prefixes.ts';

export const NODE_SETS = ['local-pods', 'nodeport-addresses', 'uplinks'] as const;
export type NodeSet = (typeof NODE_SETS)[number];

/** The bytes of each element within NFTA_LIST_ELEM. */
export type NodeElements = Readonly<Record<NodeSet, readonly Buffer[]>>;

export const encodeNodeSets = (family: Family, { pods, nodePorts, uplinks }: NodeFacts): NodeElements => ({
  'local-pods': encodePrefixes(family, pods),
  'nodeport-addresses': encodePrefixes(family, nodePorts),
  uplinks: uplinks.map((index) => attribute(1, attribute(1, hostWord(index)))),
});
