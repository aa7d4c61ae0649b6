/**
 * What the packet programs know of the node, as the entries of their maps (bpf/packet-maps.h), and at which interfaces
 * they belong. Pure.
 */
import { type Cidr, cidr, cidrContains, familyOf, type IpAddress, type IpFamily } from '@tombolo/shared/model/ip.ts';
import type { NetworkInterface } from '../../netlink/links.ts';
import type { NodeFacts } from '../../node-facts.ts';
import { putAddress } from '../layout.ts';

/** Name in the object and of the pin, and the sizes of key and value. */
export const NODE_MAPS = {
  local_pods: { keySize: 20, valueSize: 1 },
  node_addresses: { keySize: 16, valueSize: 1 },
  exits: { keySize: 8, valueSize: 16 },
} as const;
export type NodeMap = keyof typeof NODE_MAPS;

/** Value by key, both as hex, for each map. */
export type NodeEntries = Readonly<Record<NodeMap, ReadonlyMap<string, string>>>;

const ADDRESS_FAMILY: Readonly<Record<IpFamily, number>> = { 4: 2, 6: 10 };
/** Nobody answers to them, or everybody. */
const NOT_ROUTED: readonly Cidr[] = ['127.0.0.0/8', '169.254.0.0/16', '::1/128', 'fe80::/10'].map(cidr);
const LOOPBACK: readonly Cidr[] = ['127.0.0.0/8', '::1/128'].map(cidr);
/** Of which packets come from or go to other nodes and their pods. */
const TUNNELS: ReadonlySet<string> = new Set([
  ...['vxlan', 'geneve', 'wireguard', 'ipip', 'sit', 'gre', 'gretap', 'ip6tnl', 'ip6gre', 'ip6gretap', 'tun'],
]);

/**
 * Whether packets of clients or backends come in or go out here: at whatever has an address, at the ends of pods' links, and
 * at tunnels. What is seen twice, as at a bridge and at its port, is rewritten once: the second knows nothing of it.
 */
export const carriesClients = (
  { index, kind = '', isLoopback, isPeerElsewhere }: NetworkInterface,
  { interfaces }: NodeFacts,
): boolean =>
  !isLoopback &&
  (TUNNELS.has(kind) ||
    (kind === 'veth' && isPeerElsewhere) ||
    interfaces.some((each) => each.index === index && !isWithin(NOT_ROUTED, each.address)));

const isWithin = (prefixes: readonly Cidr[], address: IpAddress): boolean =>
  prefixes.some((prefix) => cidrContains(prefix, address));

/** `attached`: the indices of interfaces where packets that go out are seen. */
export function nodeEntries(facts: NodeFacts, attached: ReadonlySet<number>): NodeEntries {
  const { pods, addresses, nodePorts } = facts;
  return {
    local_pods: new Map(pods.map((prefix) => [prefixKey(prefix), '01'])),
    node_addresses: new Map(
      [...addresses]
        .filter((address) => !isWithin(LOOPBACK, address))
        .map((address) => [bytesOf(address).toString('hex'), isWithin(nodePorts, address) ? '01' : '00']),
    ),
    exits: new Map(
      [...attached].flatMap((index) =>
        ([4, 6] as const).flatMap((family) => {
          const address = standInOf(facts, index, family);
          return address === undefined ? [] : [[exitKey(index, family), bytesOf(address).toString('hex')] as const];
        }),
      ),
    ),
  };
}

/** An address of the interface that the Node is known by, else any that it has, else one that the Node is known by. */
function standInOf({ interfaces, known }: NodeFacts, index: number, family: IpFamily): IpAddress | undefined {
  const fits = (address: IpAddress): boolean => familyOf(address) === family && !isWithin(NOT_ROUTED, address);
  const own = interfaces.filter((each) => each.index === index && fits(each.address)).map(({ address }) => address);
  const ofNode = known.filter(fits);
  return own.find((address) => ofNode.includes(address)) ?? own[0] ?? ofNode[0];
}

function bytesOf(address: IpAddress): Buffer {
  const bytes = Buffer.alloc(16);
  putAddress(bytes, 0, address);
  return bytes;
}

function prefixKey({ address, length }: Cidr): string {
  const key = Buffer.alloc(20);
  key.writeUInt32LE(familyOf(address) === 4 ? 96 + length : length, 0);
  putAddress(key, 4, address);
  return key.toString('hex');
}

function exitKey(index: number, family: IpFamily): string {
  const key = Buffer.alloc(8);
  key.writeUInt32LE(index, 0);
  key.writeUInt32LE(ADDRESS_FAMILY[family], 4);
  return key.toString('hex');
}
