/**
 * Addresses as text and as numbers or bytes, read as Go's netip reads them (without zones) and written as it writes them:
 * RFC 5952, and IPv4-mapped addresses with a dotted tail. By hand, since large meshes have hundreds of thousands of them.
 */
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

/** The number of a dotted quad without leading zeros, which begins at `from` and ends with the text; -1 for anything else. */
export function readIPv4(text: string, from = 0): number {
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let i = from; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= ZERO && unit <= NINE && octet !== 0) {
      octet = Math.max(octet, 0) * 10 + unit - ZERO;
      if (octet > 255) return -1;
    } else if (unit === DOT && octet >= 0 && ++dots < 4) {
      value = value * 256 + octet;
      octet = -1;
    } else {
      return -1;
    }
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : -1;
}

/** The 16 bytes of an IPv6 address; undefined for anything else. */
export function readIPv6(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(16);
  let length = 0;
  let gap = text.startsWith('::') ? 0 : -1;
  for (let at = gap === 0 ? 2 : 0; at < text.length; ) {
    const end = groupEnd(text, at);
    if (end === at || end - at > 4 || length === 16) return undefined;
    if (text.charCodeAt(end) === DOT) {
      const quad = readIPv4(text, at);
      if (quad < 0 || length > 12) return undefined;
      bytes.set(bytesOfIPv4(quad), length);
      length += 4;
      break;
    }
    const group = Number.parseInt(text.slice(at, end), 16);
    bytes[length++] = group >> 8;
    bytes[length++] = group & 0xff;
    if (end === text.length) break;
    if (text[end] !== ':' || end + 1 === text.length) return undefined;
    at = end + 1;
    if (text[at] !== ':') continue;
    if (gap >= 0) return undefined;
    gap = length;
    at++;
  }
  if (gap < 0) return length === 16 ? bytes : undefined;
  if (length === 16) return undefined;
  const tail = length - gap;
  bytes.copyWithin(16 - tail, gap, length);
  bytes.fill(0, gap, 16 - tail);
  return bytes;
}

/** Where the hexadecimal digits that begin at `at` end. */
function groupEnd(text: string, at: number): number {
  let end = at;
  for (; end < text.length; end++) {
    const unit = text.charCodeAt(end);
    const letter = unit | 0x20;
    if (!((unit >= ZERO && unit <= NINE) || (letter >= 0x61 && letter <= 0x66))) break;
  }
  return end;
}

export const bytesOfIPv4 = (value: number): Uint8Array =>
  Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);

/** Of 4 or 16 bytes. */
export function writeIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (isMapped(bytes)) return `::ffff:${bytes.subarray(12).join('.')}`;
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  const { start, length } = longestZeros(groups);
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return length < 2 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

/** Whether these are the 16 bytes of an IPv4-mapped address. */
export const isMapped = (bytes: Uint8Array): boolean =>
  bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((byte) => byte === 0);

/** The first of the longest runs. */
function longestZeros(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, i) => {
    if (group !== 0) start = i + 1;
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start };
  });
  return best;
}
