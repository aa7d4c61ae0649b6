/**
 * IP addresses and prefixes as values. An `IpAddress` is always in canonical text form (RFC 5952 for IPv6), so equal
 * addresses are equal strings; the brand says that `parseIp` has seen it.
 */
import ipaddr from 'ipaddr.js';
import { compareText } from './order.ts';
import { fail, ok, type Result } from './result.ts';

export type IpAddress = string & { readonly brand: 'IpAddress' };
export type IpFamily = 4 | 6;

/** An address prefix, e.g. 10.1.0.0/16; `address` has no bits set beyond `length`. */
export interface Cidr {
  readonly address: IpAddress;
  readonly length: number;
}

/** Accepts what Go's netip accepts: dotted quads without leading zeros, and IPv6 without a zone. */
export function parseIp(text: string): Result<IpAddress> {
  const dotted = text.slice(text.lastIndexOf(':') + 1);
  if (dotted.includes('.') && (!ipaddr.IPv4.isValidFourPartDecimal(dotted) || /(^|\.)0\d/.test(dotted)))
    return noIp(text);
  if (dotted === text && dotted.includes('.')) return ok(text as IpAddress);
  if (text.includes('%') || !ipaddr.IPv6.isValid(text)) return noIp(text);
  const address = ipaddr.IPv6.parse(text);
  // Go prints IPv4-mapped addresses with a dotted tail.
  if (address.isIPv4MappedAddress()) return ok(`::ffff:${address.toIPv4Address().toString()}` as IpAddress);
  return ok(address.toRFC5952String() as IpAddress);
}

const noIp = (text: string): Result<never> => fail(`expected an IP address: current value is ${JSON.stringify(text)}`);

/** For literals in code and tests; throws where `parseIp` would answer with an error. */
export function ip(text: string): IpAddress {
  const parsed = parseIp(text);
  if (!parsed.ok) throw new TypeError(`Cannot use address: ${parsed.error}`);
  return parsed.value;
}

export const familyOf = (address: IpAddress): IpFamily => (address.includes(':') ? 6 : 4);

/** The 4 or 16 bytes of an address, in network order. */
export function bytesOf(address: IpAddress): Uint8Array {
  // IPv4 by hand: tables of 50,000 services are sorted and matched by these bytes.
  if (familyOf(address) === 4) return Uint8Array.from(address.split('.'), Number);
  return Uint8Array.from(ipaddr.parse(address).toByteArray());
}

export function ipFromBytes(bytes: Uint8Array): IpAddress {
  return ip(ipaddr.fromByteArray([...bytes]).toString());
}

/** `10.1.0.0/16`. Host bits must be zero. */
export function parseCidr(text: string): Result<Cidr> {
  const network = parseNetwork(text);
  if (!network.ok) return network;
  return network.value.address === ip(text.slice(0, text.indexOf('/')))
    ? network
    : fail(`expected no bits set beyond the prefix length: current value is ${JSON.stringify(text)}`);
}

/** As `parseCidr`, but host bits are cleared. */
export function parseNetwork(text: string): Result<Cidr> {
  const [address = '', length = '', ...rest] = text.split('/');
  const parsed = parseIp(address);
  const wrong = `expected a prefix such as 10.1.0.0/16: current value is ${JSON.stringify(text)}`;
  if (!parsed.ok || rest.length > 0 || !/^\d{1,3}$/.test(length)) return fail(wrong);
  const bits = Number(length);
  if (bits > (familyOf(parsed.value) === 4 ? 32 : 128)) return fail(wrong);
  return ok({ address: ipFromBytes(maskedBytes(bytesOf(parsed.value), bits)), length: bits });
}

export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new TypeError(`Cannot use prefix: ${parsed.error}`);
  return parsed.value;
}

export const formatCidr = (prefix: Cidr): string => `${prefix.address}/${prefix.length}`;

export const cidrContains = (prefix: Cidr, address: IpAddress): boolean =>
  prefixMatcher([prefix])(address) !== undefined;

/** A function that finds the first of some prefixes which holds an address; for asking about many addresses. */
export function prefixMatcher(prefixes: readonly Cidr[]): (address: IpAddress) => Cidr | undefined {
  const prepared = prefixes.map((prefix) => ({ prefix, bytes: bytesOf(prefix.address) }));
  return (address) => {
    if (prepared.length === 0) return undefined;
    const bytes = bytesOf(address);
    return prepared.find(
      (each) => each.bytes.length === bytes.length && sharesBits(each.bytes, bytes, each.prefix.length),
    )?.prefix;
  };
}

function sharesBits(a: Uint8Array, b: Uint8Array, length: number): boolean {
  for (let i = 0; i * 8 < length; i++) {
    const mask = (0xff00 >> Math.min(8, length - i * 8)) & 0xff;
    if (((a[i] ?? 0) & mask) !== ((b[i] ?? 0) & mask)) return false;
  }
  return true;
}

function maskedBytes(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, length - i * 8))));
}

/** By number, not by text: 10.0.0.2 before 10.0.0.10, IPv4 before IPv6. */
export function compareIps(a: IpAddress, b: IpAddress): number {
  return a === b ? 0 : compareText(orderKey(a), orderKey(b));
}

/** Sorted as `compareIps` does, with the key of each address made once. */
export function sortByIp<T>(items: readonly T[], addressOf: (item: T) => IpAddress): readonly T[] {
  return items
    .map((item) => ({ item, key: orderKey(addressOf(item)) }))
    .sort((a, b) => compareText(a.key, b.key))
    .map(({ item }) => item);
}

/** Text that sorts as the addresses do. */
export function orderKey(address: IpAddress): string {
  const bytes = bytesOf(address);
  let key = bytes.length === 4 ? '4' : '6';
  for (const byte of bytes) key += byte < 16 ? `0${byte.toString(16)}` : byte.toString(16);
  return key;
}

/**
 * Why no backend of another cluster may have this address, or undefined when it may. A remote that could hand us a
 * loopback or metadata address could point our pods at our own node.
 */
export function forbiddenAsRemote(address: IpAddress): string | undefined {
  if (familyOf(address) === 4) return forbiddenIPv4(bytesOf(address));
  const parsed = ipaddr.IPv6.parse(address);
  if (parsed.isIPv4MappedAddress()) return forbiddenIPv4(Uint8Array.from(parsed.toIPv4Address().toByteArray()));
  if (address === 'fd00:ec2::254') return 'a metadata address';
  switch (parsed.range()) {
    case 'loopback':
      return 'a loopback address';
    case 'linkLocal':
      return 'a link-local address';
    case 'multicast':
      return 'a multicast address';
    case 'unspecified':
      return 'the unspecified address';
    default:
      return undefined;
  }
}

function forbiddenIPv4([a = 0, b = 0]: Uint8Array): string | undefined {
  if (a === 127) return 'a loopback address';
  if (a === 169 && b === 254) return 'a link-local or metadata address';
  if (a === 0) return 'an unspecified address';
  if (a >= 240) return 'a reserved or broadcast address';
  return a >= 224 ? 'a multicast address' : undefined;
}
