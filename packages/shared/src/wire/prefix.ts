/**
 * Addresses and prefixes as Go's `net` package prints and packs them: masks are base64 of their raw bytes, and
 * IPv4-mapped addresses are printed as IPv4.
 */
import { bytesOf, familyOf, type IpAddress, parseIp } from '../model/ip.ts';
import { describeJson, type Json } from './json-parser.ts';
import { fieldNames, type Problems, readString, StructReader } from './struct-reader.ts';

/** Unlike a `Cidr` of the model it may have host bits set: it is what somebody wrote. */
export interface WirePrefix {
  readonly address: IpAddress;
  readonly length: number;
}

/** As Go's `net.IP` prints it. */
export const goIpText = (address: IpAddress): string => address.replace(/^::ffff:(?=.*\.)/, '');

export const goPrefixText = ({ address, length }: WirePrefix): string => `${goIpText(address)}/${length}`;

export const bitsOf = (address: IpAddress): number => bytesOf(address).length * 8;

export function encodeMask(length: number, bits: number): string {
  const bytes = Array.from({ length: bits / 8 }, (_, i) => (0xff00 >> Math.min(8, Math.max(0, length - i * 8))) & 0xff);
  return btoa(String.fromCharCode(...bytes));
}

/** The prefix length, or undefined unless the mask has `bits` bits, all ones before all zeros. */
export function decodeMask(text: string, bits: number): number | undefined {
  // Only the masks that exist can match, so base64 in any other spelling is refused as well.
  for (let length = 0; length <= bits; length++) if (encodeMask(length, bits) === text) return length;
  return undefined;
}

/** Empty text is Go's nil address. */
export function readAddress(value: Json | undefined, path: string, problems: Problems): IpAddress | '' {
  const text = readString(value ?? null, path, problems);
  if (text === '') return '';
  const parsed = parseIp(text);
  if (parsed.ok) return parsed.value;
  problems.mismatch(path, 'must be an IP address', value);
  return '';
}

const PREFIX_FIELDS = fieldNames('IP', 'Mask');

/** `{"IP","Mask"}`, or the plain text that later writers will use, or null. */
export function readPrefix(value: Json | undefined, path: string, problems: Problems): WirePrefix | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return readPrefixText(value, path, problems);
  const fields = new StructReader(value, path, PREFIX_FIELDS, problems);
  const address = readAddress(fields.raw('IP'), fields.pathOf('IP'), problems);
  const mask = fields.string('Mask');
  if (address === '') {
    problems.note(`${path} must have an address in IP: current value is ${describeJson(fields.raw('IP'))}`);
    return null;
  }
  const length = decodeMask(mask, bitsOf(address));
  if (length !== undefined) return { address, length };
  problems.mismatch(
    `${path}.Mask`,
    `must be a canonical mask of ${bitsOf(address)} bits in base64`,
    fields.raw('Mask'),
  );
  return null;
}

function readPrefixText(text: string, path: string, problems: Problems): WirePrefix | null {
  const slash = text.lastIndexOf('/');
  const address = parseIp(slash < 0 ? text : text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (slash > 0 && address.ok && /^(0|[1-9]\d{0,2})$/.test(length) && Number(length) <= bitsOf(address.value)) {
    return { address: address.value, length: Number(length) };
  }
  problems.mismatch(path, 'must be a prefix such as 10.1.0.0/24', text);
  return null;
}

export const encodePrefix = (prefix: WirePrefix | null): string =>
  prefix === null
    ? 'null'
    : `{"IP":"${goIpText(prefix.address)}","Mask":"${encodeMask(prefix.length, familyOf(prefix.address) === 4 ? 32 : 128)}"}`;
