/**
 * IP addresses and prefixes as values. An `IpAddress` is always in canonical text form (RFC 5952 for IPv6), so equal
 * addresses are equal strings; the brand says that `parseIp` has seen it.
 */
import { bytesOfIPv4, isMapped, readIPv4, readIPv6, writeIp } from './ip-text.ts';
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
  if (readIPv4(text) >= 0) return ok(text as IpAddress);
  const bytes = readIPv6(text);
  return bytes === undefined ? noIp(text) : ok(ipFromBytes(bytes));
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
  const quad = readIPv4(address);
  if (quad >= 0) return bytesOfIPv4(quad);
  const bytes = readIPv6(address);
  if (bytes === undefined)
    throw new TypeError(`Cannot use address: expected an IP address: current value is ${address}`);
  return bytes;
}

export const ipFromBytes = (bytes: Uint8Array): IpAddress => writeIp(bytes) as IpAddress;

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

/** The prefix that holds this address alone. */
export const hostCidr = (address: IpAddress): Cidr => ({ address, length: familyOf(address) === 4 ? 32 : 128 });

export const cidrContains = (prefix: Cidr, address: IpAddress): boolean =>
  prefixMatcher([prefix])(address) !== undefined;

/** A function that finds the first of some prefixes which holds an address; for asking about many addresses. */
export function prefixMatcher(prefixes: readonly Cidr[]): (address: IpAddress) => Cidr | undefined {
  const v4 = prefixes
    .filter(({ address }) => familyOf(address) === 4)
    .map((prefix) => {
      const [address, size] = [readIPv4(prefix.address), 2 ** (32 - prefix.length)];
      return { prefix, first: address - (address % size), size };
    });
  const v6 = prefixes
    .filter(({ address }) => familyOf(address) === 6)
    .map((prefix) => ({ prefix, bytes: bytesOf(prefix.address) }));
  return (address) => {
    const quad = readIPv4(address);
    if (quad >= 0) return v4.find(({ first, size }) => quad >= first && quad < first + size)?.prefix;
    if (v6.length === 0) return undefined;
    const asked = bytesOf(address);
    return v6.find(({ prefix, bytes }) => sharesBits(bytes, asked, prefix.length))?.prefix;
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
  if (a === b) return 0;
  const [x, y] = [readIPv4(a), readIPv4(b)];
  return x >= 0 && y >= 0 ? x - y : compareText(orderKey(a), orderKey(b));
}

/** Sorted as `compareIps` does, with the key of each address made once. */
export function sortByIp<T>(items: readonly T[], addressOf: (item: T) => IpAddress): readonly T[] {
  return items
    .map((item) => ({ item, key: orderKey(addressOf(item)) }))
    .sort((a, b) => compareText(a.key, b.key))
    .map(({ item }) => item);
}

/** Text that sorts as the addresses do: all of a family are equally long. */
export function orderKey(address: IpAddress): string {
  const quad = readIPv4(address);
  if (quad >= 0) return (2 ** 32 + quad).toString(16);
  return `6${Buffer.from(bytesOf(address)).toString('hex')}`;
}

/**
 * Why no backend of another cluster may have this address, or undefined when it may. A remote that could hand us a
 * loopback or metadata address could point our pods at our own node.
 */
export function forbiddenAsRemote(address: IpAddress): string | undefined {
  const quad = readIPv4(address);
  if (quad >= 0) return forbiddenIPv4(quad >>> 24, (quad >>> 16) & 0xff);
  const bytes = bytesOf(address);
  if (isMapped(bytes)) return forbiddenIPv4(bytes[12], bytes[13]);
  if (address === 'fd00:ec2::254') return 'a metadata address';
  if (address === '::1') return 'a loopback address';
  if (address === '::') return 'the unspecified address';
  const [a = 0, b = 0] = bytes;
  if (a === 0xff) return 'a multicast address';
  return a === 0xfe && (b & 0xc0) === 0x80 ? 'a link-local address' : undefined;
}

function forbiddenIPv4(a = 0, b = 0): string | undefined {
  if (a === 127) return 'a loopback address';
  if (a === 169 && b === 254) return 'a link-local or metadata address';
  if (a === 0) return 'an unspecified address';
  if (a >= 240) return 'a reserved or broadcast address';
  return a >= 224 ? 'a multicast address' : undefined;
}
