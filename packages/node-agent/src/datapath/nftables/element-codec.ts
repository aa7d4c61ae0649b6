/**
 * Elements of our sets and maps as bytes and back, in the very bytes in which the kernel answers: so two elements are the
 * same when their bytes are. Pure.
 */
import { bytesOf, type IpAddress, ipFromBytes } from '@tombolo/shared/model/ip.ts';
import { attribute, attributesOf, HEADER, type Message, message, nfAttributesOf } from '../netlink/messages.ts';
import { type Family, nfFamily } from './family.ts';
import { type FieldKind, fieldBytes, keyBytes, type SetName, shapeOf } from './sets.ts';

/** An address, a number, or the name of a protocol. */
export type FieldValue = string | number;

export interface Element {
  readonly set: SetName;
  readonly key: readonly FieldValue[];
  /** Empty in a set; in a map of verdicts the name of the chain to go to. */
  readonly value: readonly FieldValue[];
  /** Empty for none. */
  readonly comment: string;
}

/** What stands where a key or a value has an address. */
export const addressIn = (value: FieldValue | undefined): IpAddress => String(value) as IpAddress;

/** NFTA_SET_ELEM_*, within NFTA_LIST_ELEM. */
const LIST_ELEMENT = 1;
const KEY = 1;
const VALUE = 2;
const USER_DATA = 6;
const KEY_END = 10;
/** NFTA_DATA_*. */
const DATA_VALUE = 1;
const DATA_VERDICT = 2;
const GOTO = -4;
/** What nft keeps of a comment: its type, its length, its text with a NUL. */
const COMMENT = 0;

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };
const PROTOCOL_NAMES = new Map(Object.entries(PROTOCOLS).map(([name, number]) => [number, name]));

/** Up to here, a message holds elements. */
const MESSAGE_BYTES = 60_000;

export function encodeElement(family: Family, { set, key, value, comment }: Element): Buffer {
  const shape = shapeOf(set);
  const verdict = shape.value === 'chain' ? verdictBytes(String(value[0])) : undefined;
  const fields = shape.value === undefined || shape.value === 'chain' ? [] : shape.value;
  const valueLength = keyBytes(family, fields);
  const commentBytes = comment === '' ? undefined : commentOf(comment);
  const size =
    4 +
    sizeOfKey(family, shape.key) +
    (verdict?.length ?? 0) +
    (valueLength === 0 ? 0 : 8 + valueLength) +
    (commentBytes?.length ?? 0);
  const bytes = Buffer.allocUnsafe(size).fill(0);
  writeHead(bytes, 0, LIST_ELEMENT, size);
  let at = writeKey(bytes, 4, family, shape.key, key);
  if (verdict !== undefined) at += verdict.copy(bytes, at);
  if (valueLength > 0) {
    writeHead(bytes, at, VALUE, 8 + valueLength);
    writeHead(bytes, at + 4, DATA_VALUE, 4 + valueLength);
    at = writeFields(bytes, at + 8, family, fields, value);
  }
  commentBytes?.copy(bytes, at);
  return bytes;
}

/** The key alone: what it takes to delete an element. */
export const encodeKey = (family: Family, { set, key }: Element): Buffer => {
  const fields = shapeOf(set).key;
  const bytes = Buffer.alloc(4 + sizeOfKey(family, fields));
  writeHead(bytes, 0, LIST_ELEMENT, bytes.length);
  writeKey(bytes, 4, family, fields, key);
  return bytes;
};

/** From the bytes within NFTA_LIST_ELEM. Undefined for what is none of ours, as a verdict other than goto. */
export function decodeElement(family: Family, set: SetName, bytes: Buffer): Element | undefined {
  const shape = shapeOf(set);
  const [key, keyEnd, value, userData] = [KEY, KEY_END, VALUE, USER_DATA].map((type) =>
    find(bytes, { from: 0, to: bytes.length }, type),
  );
  const keyData = find(bytes, key, DATA_VALUE);
  if (keyData === undefined) return undefined;
  const element = {
    set,
    key: readFields(bytes, keyData, family, shape.key, find(bytes, keyEnd, DATA_VALUE)),
    comment:
      userData && bytes[userData.from] === COMMENT ? bytes.toString('utf8', userData.from + 2, userData.to - 1) : '',
  };
  if (shape.value === undefined) return { ...element, value: [] };
  if (shape.value === 'chain') {
    const verdict = find(bytes, value, DATA_VERDICT);
    const [code, chain] = [find(bytes, verdict, 1), find(bytes, verdict, 2)];
    if (chain === undefined || code === undefined || code.to - code.from !== 4) return undefined;
    if (bytes.readInt32BE(code.from) !== GOTO) return undefined;
    return { ...element, value: [bytes.toString('utf8', chain.from, chain.to - 1)] };
  }
  const valueData = find(bytes, value, DATA_VALUE);
  return valueData && { ...element, value: readFields(bytes, valueData, family, shape.value) };
}

interface Range {
  readonly from: number;
  readonly to: number;
}

/** Where an attribute's value is. As `attributeOf`, without making buffers: there are hundreds of thousands. */
function find(bytes: Buffer, within: Range | undefined, type: number): Range | undefined {
  if (within === undefined) return undefined;
  for (let at = within.from; at + 4 <= within.to; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > within.to) return undefined;
    if ((bytes.readUInt16LE(at + 2) & 0x3fff) === type) return { from: at + 4, to: at + length };
    at += (length + 3) & ~3;
  }
  return undefined;
}

/** The elements in one answer to a dump, each as the bytes within its NFTA_LIST_ELEM. */
export function* elementsIn(answer: Message): Generator<Buffer> {
  for (const { type, value } of nfAttributesOf(answer)) {
    if (type !== 3) continue;
    for (const element of attributesOf(value)) yield element.value;
  }
}

/** Messages that add to a set, or delete from it, what was encoded. */
export function elementMessages(
  type: number,
  flags: number,
  family: Family,
  table: string,
  set: string,
  elements: readonly Buffer[],
): readonly Buffer[] {
  const messages: Buffer[] = [];
  const head = [attribute(1, table), attribute(2, set)];
  let from = 0;
  let size = 0;
  const flush = (to: number): void => {
    if (to === from) return;
    const list = Buffer.allocUnsafe(4);
    writeHead(list, 0, 3, 4 + size);
    messages.push(message(type, flags, nfFamily[family], ...head, list, ...elements.slice(from, to)));
    from = to;
    size = 0;
  };
  elements.forEach((element, i) => {
    if (size + element.length > MESSAGE_BYTES - HEADER) flush(i);
    size += element.length;
  });
  flush(elements.length);
  return messages;
}

const isInterval = (key: readonly FieldKind[]): boolean => key.includes('prefix');

/** Of an interval the first and the last key. */
const sizeOfKey = (family: Family, kinds: readonly FieldKind[]): number =>
  (8 + keyBytes(family, kinds)) * (isInterval(kinds) ? 2 : 1);

/** What is exact is the same in the first and the last key. */
function writeKey(
  bytes: Buffer,
  start: number,
  family: Family,
  kinds: readonly FieldKind[],
  values: readonly FieldValue[],
): number {
  const length = keyBytes(family, kinds);
  let at = start;
  for (const type of isInterval(kinds) ? [KEY, KEY_END] : [KEY]) {
    writeHead(bytes, at, type, 8 + length);
    writeHead(bytes, at + 4, DATA_VALUE, 4 + length);
    at = writeFields(bytes, at + 8, family, kinds, values, type === KEY_END);
  }
  return at;
}

/** `10.1.0.0/16`, its first or its last address. */
function prefixBytes(value: FieldValue, isLast: boolean): Uint8Array {
  const [address, length] = String(value).split('/');
  const bytes = bytesOf(addressIn(address));
  if (isLast)
    for (let bit = Number(length); bit < bytes.length * 8; bit += 1)
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return bytes;
}

/** The prefix from its first to its last address. */
function prefixBetween(first: Buffer, last: Buffer | undefined): string {
  let length = 0;
  const differs = (bit: number): boolean =>
    (((first[bit >> 3] ?? 0) ^ (last?.[bit >> 3] ?? 0)) & (0x80 >> (bit & 7))) !== 0;
  while (length < first.length * 8 && !differs(length)) length += 1;
  return `${ipFromBytes(first)}/${length}`;
}

function writeHead(bytes: Buffer, at: number, type: number, length: number): void {
  bytes.writeUInt16LE(length, at);
  bytes.writeUInt16LE(type, at + 2);
}

function verdictBytes(chain: string): Buffer {
  return attribute(VALUE, attribute(DATA_VERDICT, Buffer.concat([attribute(1, GOTO), attribute(2, chain)])));
}

function commentOf(text: string): Buffer {
  const bytes = Buffer.from(`${text}\0`);
  return attribute(USER_DATA, Buffer.concat([Buffer.from([COMMENT, bytes.length]), bytes]));
}

function writeFields(
  bytes: Buffer,
  start: number,
  family: Family,
  kinds: readonly FieldKind[],
  values: readonly FieldValue[],
  isLast = false,
): number {
  let at = start;
  for (const [i, kind] of kinds.entries()) {
    const value = values[i] ?? 0;
    if (kind === 'prefix') bytes.set(prefixBytes(value, isLast), at);
    else if (kind === 'address') bytes.set(bytesOf(addressIn(value)), at);
    else if (kind === 'protocol') bytes[at] = PROTOCOLS[value] ?? 0;
    else if (kind === 'port') bytes.writeUInt16BE(Number(value), at);
    else bytes.writeUInt32LE(Number(value), at);
    at += fieldBytes(family, kind);
  }
  return at;
}

function readFields(
  bytes: Buffer,
  { from, to }: Range,
  family: Family,
  kinds: readonly FieldKind[],
  end?: Range,
): FieldValue[] {
  let at = from;
  return kinds.map((kind) => {
    const start = at;
    at += fieldBytes(family, kind);
    if (at > to) return '';
    switch (kind) {
      case 'prefix':
        return prefixBetween(
          bytes.subarray(start, at),
          end && bytes.subarray(end.from + start - from, end.from + at - from),
        );
      case 'address':
        return ipFromBytes(bytes.subarray(start, at));
      case 'protocol':
        return PROTOCOL_NAMES.get(bytes[start] ?? 0) ?? String(bytes[start]);
      case 'port':
        return bytes.readUInt16BE(start);
      default:
        return bytes.readUInt32LE(start);
    }
  });
}
