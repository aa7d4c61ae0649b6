/**
 * Who answers for each address: decided from what all nodes know, so that all come to the same answer, without a word about
 * it and without a place where it is written. Pure.
 *
 * Of the nodes that may and can, the one that the advertisements prefer most, and of several the one whose name hashes
 * lowest with the address: each address has an order of nodes of its own, and when a node goes, its addresses are spread
 * over all others while nobody else's move. It is the order of MetalLB's speakers, so that beside them both choose the same.
 */
import { hash } from 'node:crypto';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import {
  fitsInterface,
  isAdvertised,
  isNodeSelected,
  type L2Advertisement,
  preferenceFor,
} from '@tombolo/shared/model/l2-advertisement.ts';
import type { Labels } from '@tombolo/shared/model/label-selector.ts';
import type { ServiceAddress } from '../service-address.ts';

/** What is known here of a node of this cluster. */
export interface SpeakerNode {
  readonly name: string;
  readonly labels: Labels;
  /** It is not to get traffic from outside. */
  readonly isExcluded: boolean;
  /** Its agent is alive and would answer. */
  readonly isReady: boolean;
  /** The names of its interfaces at which it could; undefined where that is not known. */
  readonly interfaces: readonly string[] | undefined;
}

/** Why nobody answers for an address; the first that applies, in this order. */
export type ElectionObstacle =
  | 'otherClass'
  | 'noEndpoints'
  | 'remoteOnly'
  | 'noAdvertisement'
  | 'noNode'
  | 'noInterface';

interface Candidate {
  readonly node: SpeakerNode;
  readonly preference: number;
  readonly advertisements: readonly L2Advertisement[];
}

export interface Election {
  readonly owner: string | undefined;
  /** Who would be, without the owner: it sees to it that the network believes the owner. */
  readonly second: string | undefined;
  /** Undefined where somebody answers. */
  readonly obstacle: ElectionObstacle | undefined;
  /** In no order; elections in which the same nodes stand share one array. */
  readonly candidates: readonly Candidate[];
}

/** The first 48 bits of a hash are a number that JavaScript has. */
const HEAD_DIGITS = 12;

const hashOf = (node: string, address: IpAddress): string => hash('sha256', `${node}#${address}`, 'hex');

/** Where nodes stand in the orders of addresses, worked out once: of 10,000 addresses and 100 nodes that is a second's work. */
export class Ranks {
  readonly #columns = new Map<string, number>();
  /** By the node's column; NaN is not known yet. */
  readonly #heads = new Map<IpAddress, Float64Array>();

  /** Whether node `a` goes before `b`. */
  isBefore(a: string, b: string, address: IpAddress): boolean {
    const [first, second] = [this.#head(a, address), this.#head(b, address)];
    return first === second ? hashOf(a, address) < hashOf(b, address) : first < second;
  }

  /** Forgets all other addresses, and nodes if most are gone. */
  keep(addresses: ReadonlyMap<IpAddress, unknown>, nodeCount: number): void {
    for (const address of this.#heads.keys()) if (!addresses.has(address)) this.#heads.delete(address);
    if (this.#columns.size <= 2 * nodeCount + 64) return;
    this.#columns.clear();
    this.#heads.clear();
  }

  #head(node: string, address: IpAddress): number {
    const column = this.#columns.get(node) ?? this.#columns.size;
    if (column === this.#columns.size) this.#columns.set(node, column);
    let heads = this.#heads.get(address);
    if (heads === undefined || heads.length <= column) {
      const longer = new Float64Array(2 * column + 8).fill(Number.NaN);
      if (heads) longer.set(heads);
      heads = longer;
      this.#heads.set(address, heads);
    }
    const known = heads[column] ?? Number.NaN;
    if (!Number.isNaN(known)) return known;
    const head = Number.parseInt(hashOf(node, address).slice(0, HEAD_DIGITS), 16);
    heads[column] = head;
    return head;
  }
}

/** Of each address what Services have of it, at least one. */
export type SharedAddresses = ReadonlyMap<IpAddress, readonly ServiceAddress[]>;

export function electAll(
  addresses: SharedAddresses,
  advertisements: readonly L2Advertisement[],
  nodes: readonly SpeakerNode[],
  ranks: Ranks,
): ReadonlyMap<IpAddress, Election> {
  ranks.keep(addresses, nodes.length);
  const standing = nodes.filter(({ isReady, isExcluded }) => isReady && !isExcluded);
  // Most addresses are advertised alike.
  const alike = new Map<string, Stand>();
  const elections = new Map<IpAddress, Election>();
  for (const [address, sharing] of addresses) {
    const { offers, obstacle } = offersOf(sharing, advertisements);
    const key = obstacle ?? offers.map(signatureOf).sort().join(' ');
    const stand = alike.get(key) ?? (obstacle ? { candidates: [], obstacle } : standOf(offers, standing));
    alike.set(key, stand);
    elections.set(address, { ...stand, ...bestTwo(stand.candidates, address, ranks) });
  }
  return elections;
}

type Stand = Pick<Election, 'candidates' | 'obstacle'>;

interface Offer {
  /** Indices of the advertisements. */
  readonly indices: readonly number[];
  readonly advertisements: readonly L2Advertisement[];
  /** Undefined: from every node. */
  readonly nodes: ReadonlySet<string> | undefined;
}

const signatureOf = ({ indices, nodes }: Offer): string =>
  `${indices.join(',')}/${nodes ? [...nodes].sort().join(',') : '*'}`;

function offersOf(
  sharing: readonly ServiceAddress[],
  advertisements: readonly L2Advertisement[],
): { readonly offers: readonly Offer[]; readonly obstacle: ElectionObstacle | undefined } {
  const ours = sharing.filter(({ obstacle }) => obstacle !== 'otherClass');
  const served = ours.filter(({ policy, servingNodes, isServed }) =>
    policy === 'Local' ? servingNodes.size > 0 : isServed,
  );
  const staying = served.filter(({ remoteOnly }) => remoteOnly !== 'withdraw');
  const offers = staying.flatMap((each): Offer[] => {
    const indices = [...advertisements.keys()].filter((i) => isAdvertised(advertisements[i] as L2Advertisement, each));
    const chosen = indices.map((i) => advertisements[i] as L2Advertisement);
    const nodes = each.policy === 'Local' ? each.servingNodes : undefined;
    return indices.length > 0 ? [{ indices, advertisements: chosen, nodes }] : [];
  });
  if (ours.length === 0) return { offers, obstacle: 'otherClass' };
  if (served.length === 0) return { offers, obstacle: 'noEndpoints' };
  if (staying.length === 0) return { offers, obstacle: 'remoteOnly' };
  return { offers, obstacle: offers.length === 0 ? 'noAdvertisement' : undefined };
}

function standOf(offers: readonly Offer[], nodes: readonly SpeakerNode[]): Stand {
  const able = nodes.flatMap((node): Candidate[] => {
    const found = offers
      .filter((offer) => offer.nodes?.has(node.name) ?? true)
      .flatMap((offer) => offer.advertisements.filter((one) => isNodeSelected(one, node.labels)));
    const advertisements = [...new Set(found)];
    const preference = advertisements.reduce((sum, one) => sum + preferenceFor(one, node.labels), 0);
    return advertisements.length > 0 ? [{ node, preference, advertisements }] : [];
  });
  const candidates = able.filter((each) => each.node.interfaces?.some((name) => fitsCandidate(each, name)) ?? true);
  if (candidates.length > 0) return { candidates, obstacle: undefined };
  return { candidates, obstacle: able.length === 0 ? 'noNode' : 'noInterface' };
}

const fitsCandidate = ({ advertisements }: Candidate, interfaceName: string): boolean =>
  advertisements.some((one) => fitsInterface(one, interfaceName));

/** Whether a candidate is to answer at its interface of that name. */
export function answersAt({ candidates }: Election, node: string, interfaceName: string): boolean {
  const candidate = candidates.find((each) => each.node.name === node);
  return candidate !== undefined && fitsCandidate(candidate, interfaceName);
}

/** Whether something that makes it a candidate names no interfaces: then it answers at all of them. */
export function isAtEvery({ candidates }: Election, node: string): boolean {
  const candidate = candidates.find((each) => each.node.name === node);
  return candidate?.advertisements.some(({ interfaces }) => interfaces.length === 0) ?? false;
}

function bestTwo(
  candidates: readonly Candidate[],
  address: IpAddress,
  ranks: Ranks,
): Pick<Election, 'owner' | 'second'> {
  let owner: Candidate | undefined;
  let second: Candidate | undefined;
  for (const each of candidates) {
    if (!owner || isBetter(each, owner, address, ranks)) [owner, second] = [each, owner];
    else if (!second || isBetter(each, second, address, ranks)) second = each;
  }
  return { owner: owner?.node.name, second: second?.node.name };
}

function isBetter(a: Candidate, b: Candidate, address: IpAddress, ranks: Ranks): boolean {
  if (a.preference !== b.preference) return a.preference > b.preference;
  return ranks.isBefore(a.node.name, b.node.name, address);
}
