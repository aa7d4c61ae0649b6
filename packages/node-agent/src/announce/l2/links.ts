/**
 * The interfaces of this node at which it could answer for addresses: those with neighbours, which are not the node's own
 * plumbing, while what they are connected to answers. A change is heard of from the kernel at once.
 */
import { readFileSync } from 'node:fs';
import { type IpAddress, ipFromBytes } from '@tombolo/shared/model/ip.ts';
import { fitsInterface, type L2Advertisement } from '@tombolo/shared/model/l2-advertisement.ts';
import type { Clock } from '@tombolo/shared/process/clock.ts';
import { type NetworkInterface, NetworkInterfaces } from '../../datapath/netlink/links.ts';
import { NetlinkMonitor } from '../../datapath/netlink/monitor.ts';
import { NETLINK_ROUTE } from '../../datapath/netlink/socket.ts';
import type { Mac } from './frames.ts';
import { MOST_LINKS } from './heartbeat.ts';

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mac: Mac;
  /** Undefined where it has none, or not yet. */
  readonly linkLocal?: IpAddress | undefined;
}

/** What container runtimes, CNIs and hypervisors call what leads to pods and guests. */
const PLUMBING =
  /^(lo|docker|br-|cbr|cni|cali|cilium|lxc|veth|virbr|vnet|tap|tun|flannel|kube-|nodelocaldns|dummy|weave|vxlan|genev)/;
/** Of the kinds of what is made by software, those that lead out of the node. */
const KINDS: ReadonlySet<string | undefined> = new Set([
  undefined,
  'veth',
  'bridge',
  'bond',
  'team',
  'vlan',
  'macvlan',
  'ipvlan',
]);

/** Pure. `names` of masters are of `links`. */
export function couldAnswer(link: NetworkInterface, links: readonly NetworkInterface[]): boolean {
  const { isEthernet, isUp, hasNeighbors, master, mac, name, kind } = link;
  const isWhole = master === undefined || links.find(({ index }) => index === master)?.kind === 'vrf';
  return isEthernet && isUp && hasNeighbors && isWhole && mac !== '' && KINDS.has(kind) && !PLUMBING.test(name);
}

/**
 * Those of which others are told: there is room for so many, and an election in which this node knows more of itself than
 * others do has two winners. Interfaces that advertisements name go first. The same array if it is all of them. Pure.
 */
export function toldLinks(links: readonly Link[], advertisements: readonly L2Advertisement[]): readonly Link[] {
  if (links.length <= MOST_LINKS) return links;
  const isNamed = ({ name }: Link): boolean => advertisements.some((each) => fitsInterface(each, name));
  const others = links.filter((link) => !isNamed(link));
  return [...links.filter(isNamed), ...others].slice(0, MOST_LINKS);
}

/** RTNLGRP_LINK. */
const LINK_GROUP = 1;
/** Changes may be missed. */
const LOOK_MS = 10_000;
/** Who comes back is left alone until it has stayed for so long. */
const SETTLE_MS = 2_000;

export class Links {
  readonly #clock: Clock;
  readonly #interfaces = new NetworkInterfaces();
  readonly #monitor = new NetlinkMonitor(LINK_GROUP, 0, NETLINK_ROUTE);
  readonly #upSince = new Map<string, number>();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #isFirst = true;
  #all: readonly Link[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** As they are now; the same array if nothing is different. */
  async look(): Promise<readonly Link[]> {
    const now = this.#clock.now();
    let isOther =
      now - this.#lookedAt >= LOOK_MS || [...this.#upSince.values()].some((since) => now - since < SETTLE_MS + LOOK_MS);
    const isComplete = await this.#monitor.drain(() => {
      isOther = true;
    });
    if (!isOther && isComplete) return this.#all;
    this.#lookedAt = now;
    const links = this.#interfaces.read();
    const up = links.filter((link) => couldAnswer(link, links));
    const keys = new Set(up.map(keyOf));
    for (const key of this.#upSince.keys()) if (!keys.has(key)) this.#upSince.delete(key);
    for (const key of keys)
      if (!this.#upSince.has(key)) this.#upSince.set(key, this.#isFirst ? Number.NEGATIVE_INFINITY : now);
    this.#isFirst = false;
    const linkLocals = linkLocalsIn(readIfThere(IF_INET6));
    const settled = up
      .filter((link) => now - (this.#upSince.get(keyOf(link)) ?? now) >= SETTLE_MS)
      .map(({ index, name, mac }): Link => ({ index, name, mac, linkLocal: linkLocals.get(index) }))
      .sort((a, b) => a.index - b.index);
    const isSame = settled.map(keyOf).join() === this.#all.map(keyOf).join();
    if (!isSame || settled.some(({ linkLocal }, i) => linkLocal !== this.#all[i]?.linkLocal)) this.#all = settled;
    return this.#all;
  }

  async close(): Promise<void> {
    this.#monitor.close();
    await this.#interfaces.close();
  }
}

/** There is none where IPv6 is switched off. */
const IF_INET6 = '/proc/self/net/if_inet6';
/** IFA_F_TENTATIVE, IFA_F_DADFAILED. */
const NOT_OURS = 0x40 | 0x08;

/** By the index of the interface; as the kernel lists them: address, index, prefix length, scope, flags, name. Pure. */
export function linkLocalsIn(text: string): ReadonlyMap<number, IpAddress> {
  const found = text.split('\n').flatMap((line): [number, IpAddress][] => {
    const [address = '', index = '', , , flags = ''] = line.split(/ +/);
    const isUsable = address.startsWith('fe80') && (Number.parseInt(flags, 16) & NOT_OURS) === 0;
    return isUsable ? [[Number.parseInt(index, 16), ipFromBytes(Buffer.from(address, 'hex'))]] : [];
  });
  return new Map(found.reverse());
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

const keyOf = ({ index, name, mac }: Link): string => `${index} ${name} ${mac}`;
