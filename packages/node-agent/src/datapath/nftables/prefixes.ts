/**
 * Prefixes as the elements of an interval set: where each begins, and where what is behind it begins. Prefixes inside
 * another one are left out, since intervals must not overlap. Pure.
 */
import { bytesOf, type Cidr, cidrContains, familyOf } from '@tombolo/shared/model/ip.ts';
import { attribute } from '../netlink/messages.ts';
import type { Family } from './family.ts';

const INTERVAL_END = 1;

/** Each as the bytes within NFTA_LIST_ELEM. */
export function encodePrefixes(family: Family, cidrs: readonly Cidr[]): readonly Buffer[] {
  const ends = outermost(cidrs.filter(({ address }) => (familyOf(address) === 4) === (family === 'ip')))
    .map((cidr) => ({ first: Buffer.from(bytesOf(cidr.address)), behind: behind(cidr) }))
    .toSorted((a, b) => Buffer.compare(a.first, b.first));
  const [lowest] = ends;
  if (lowest === undefined) return [];
  // nft begins with what is in no interval.
  const zero = Buffer.alloc(lowest.first.length);
  return [
    ...(lowest.first.equals(zero) ? [] : [element(zero, true)]),
    ...ends.flatMap((end) => [
      element(end.first, false),
      ...(end.behind === undefined ? [] : [element(end.behind, true)]),
    ]),
  ];
}

const element = (address: Buffer, isEnd: boolean): Buffer =>
  Buffer.concat([attribute(1, attribute(1, address)), ...(isEnd ? [attribute(3, INTERVAL_END)] : [])]);

export const outermost = (cidrs: readonly Cidr[]): readonly Cidr[] =>
  cidrs.filter(
    (one, at) =>
      !cidrs.some(
        (other, i) =>
          (other.length < one.length || (other.length === one.length && i < at)) && cidrContains(other, one.address),
      ),
  );

/** The first address behind a prefix; undefined when it reaches to the end. */
function behind({ address, length }: Cidr): Buffer | undefined {
  const bytes = Buffer.from(bytesOf(address));
  for (let bit = length - 1; bit >= 0; bit -= 1) {
    const mask = 0x80 >> (bit % 8);
    const at = bit >> 3;
    const byte = bytes[at] ?? 0;
    bytes[at] = byte ^ mask;
    if ((byte & mask) === 0) return bytes;
  }
  return undefined;
}
