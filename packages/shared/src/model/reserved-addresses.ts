/**
 * Addresses that no pool gives out, whatever its blocks say: those that mean something else everywhere (IANA's registries
 * of special-purpose addresses, RFC 6890), and those that the cluster itself uses.
 */
import { type AddressRange, apart, numberOf, rangeOf } from './address-range.ts';
import { type Cidr, cidr, familyOf, hostCidr, type IpAddress } from './ip.ts';

export interface ReservedRange extends AddressRange {
  /** What it is, for people: `the address of node a`. */
  readonly what: string;
}

export const reserve = (prefix: Cidr, what: string): ReservedRange => ({ ...rangeOf(prefix), what });

export const reserveAddress = (address: IpAddress, what: string): ReservedRange => reserve(hostCidr(address), what);

const EVERYWHERE: readonly ReservedRange[] = [
  ['0.0.0.0/8', 'an unspecified address'],
  ['127.0.0.0/8', 'a loopback address'],
  ['169.254.0.0/16', 'a link-local address'],
  ['224.0.0.0/4', 'a multicast address'],
  ['240.0.0.0/4', 'a reserved or broadcast address'],
  ['::/8', 'an unspecified, loopback or mapped address'],
  ['fe80::/10', 'a link-local address'],
  ['ff00::/8', 'a multicast address'],
].map(([prefix = '', what = '']) => reserve(cidr(prefix), what));

export class ReservedAddresses {
  /** In order and apart from each other. */
  readonly #byFamily: Readonly<Record<4 | 6, readonly ReservedRange[]>>;

  /** Those of the cluster. */
  constructor(own: readonly ReservedRange[]) {
    const all = [...EVERYWHERE, ...own];
    this.#byFamily = {
      4: apart(all.filter(({ family }) => family === 4)),
      6: apart(all.filter(({ family }) => family === 6)),
    };
  }

  /** The range that keeps an address from being given. */
  rangeWith(family: 4 | 6, number: bigint): ReservedRange | undefined {
    const before = this.#byFamily[family][this.#countUpTo(family, number) - 1];
    return before && number <= before.last ? before : undefined;
  }

  /** Those that have a number in common with the range, in order and apart from each other. */
  rangesIn({ family, first, last }: AddressRange): readonly ReservedRange[] {
    const from = this.#countUpTo(family, first) - (this.rangeWith(family, first) ? 1 : 0);
    return this.#byFamily[family].slice(from, this.#countUpTo(family, last));
  }

  /** How many begin at a number or below it. */
  #countUpTo(family: 4 | 6, number: bigint): number {
    const ranges = this.#byFamily[family];
    let [low, high] = [0, ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ranges[middle]?.first ?? 0n) <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  with(address: IpAddress): ReservedRange | undefined {
    return this.rangeWith(familyOf(address), numberOf(address));
  }
}
