/** Ranges of addresses, for pools: both ends belong to it. */
import {
  bytesOf,
  type Cidr,
  familyOf,
  type IpAddress,
  type IpFamily,
  ipFromBytes,
  parseIp,
  parseNetwork,
} from './ip.ts';
import { bytesOfIPv4, readIPv4 } from './ip-text.ts';
import { fail, ok, type Result } from './result.ts';

export interface AddressRange {
  readonly family: IpFamily;
  readonly first: bigint;
  readonly last: bigint;
}

export function numberOf(address: IpAddress): bigint {
  const quad = readIPv4(address);
  return quad >= 0 ? BigInt(quad) : BigInt(`0x${Buffer.from(bytesOf(address)).toString('hex')}`);
}

export function addressAt(family: IpFamily, number: bigint): IpAddress {
  if (family === 4) return ipFromBytes(bytesOfIPv4(Number(number)));
  return ipFromBytes(Buffer.from(number.toString(16).padStart(32, '0'), 'hex'));
}

export function rangeOf({ address, length }: Cidr): AddressRange {
  const family = familyOf(address);
  const first = numberOf(address);
  return { family, first, last: first + (1n << BigInt((family === 4 ? 32 : 128) - length)) - 1n };
}

/** From one address to another of its family. */
export function rangeBetween(from: string, to: string): Result<AddressRange> {
  const [first, last] = [parseIp(from.trim()), parseIp(to.trim())];
  if (!first.ok) return first;
  if (!last.ok) return last;
  const family = familyOf(first.value);
  const range = { family, first: numberOf(first.value), last: numberOf(last.value) };
  return familyOf(last.value) === family && range.first <= range.last
    ? ok(range)
    : fail(`expected a range that ends where it begins or later: current value is "${from}-${to}"`);
}

/** A prefix such as 192.0.2.0/24, whose host bits count for nothing, or a range such as 192.0.2.1-192.0.2.9. */
export function parseRange(text: string): Result<AddressRange> {
  const [from = '', to, ...rest] = text.split('-');
  if (to !== undefined && rest.length === 0) return rangeBetween(from, to);
  const prefix = parseNetwork(text.trim());
  return prefix.ok ? ok(rangeOf(prefix.value)) : fail(`${prefix.error}; ranges are written as 192.0.2.1-192.0.2.9`);
}

export const isIn = (range: AddressRange, family: IpFamily, number: bigint): boolean =>
  range.family === family && range.first <= number && number <= range.last;

/** One of several parts: they have nothing in common, are the range together, and differ in size by one at the most. */
export interface Share {
  /** From 1 on. */
  readonly part: number;
  readonly of: number;
}

/** As `2/5`: the second of five. */
export function parseShare(text: string): Result<Share> {
  const [, part, of] = /^(\d{1,4})\/(\d{1,4})$/.exec(text) ?? [];
  const share = { part: Number(part), of: Number(of) };
  return share.part >= 1 && share.part <= share.of
    ? ok(share)
    : fail(`expected a part such as 2/5, the second of five: current value is ${JSON.stringify(text)}`);
}

/** Undefined where it is empty, as some are of a range that is smaller than the number of its parts. */
export function shareOf<R extends AddressRange>(range: R, { part, of }: Share): R | undefined {
  const size = range.last - range.first + 1n;
  const before = (parts: number): bigint => (size * BigInt(parts)) / BigInt(of);
  const [first, last] = [range.first + before(part - 1), range.first + before(part) - 1n];
  return first <= last ? { ...range, first, last } : undefined;
}

/** Those that overlap made one, of the first of them; in order. */
export function apart<R extends AddressRange>(ranges: readonly R[]): readonly R[] {
  const sorted = [...ranges].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const result: R[] = [];
  for (const range of sorted) {
    const last = result.at(-1);
    if (!last || range.first > last.last) result.push(range);
    else if (range.last > last.last) result[result.length - 1] = { ...last, last: range.last };
  }
  return result;
}
