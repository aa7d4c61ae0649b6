/**
 * The few netlink messages of connection tracking that we need (linux/netfilter/nfnetlink_conntrack.h): ask for all
 * entries of a family, read their addresses, delete one. Pure bytes. Numbers of netlink itself are in host order, which
 * is little-endian on every machine that we run on; those of the packets are in network order.
 */
import { type IpAddress, ipFromBytes } from '@tombolo/shared/model/ip.ts';

const SUBSYSTEM = 1 << 8;
const GET = SUBSYSTEM | 1;
const DELETE = SUBSYSTEM | 2;
const REQUEST = 1;
const ACK = 4;
const DUMP = 0x300;
const NESTED = 0x8000;

export const NETLINK_ERROR = 2;
export const NETLINK_DONE = 3;
export const CONNTRACK_ENTRY = SUBSYSTEM;

const AF: Readonly<Record<4 | 6, number>> = { 4: 2, 6: 10 };
/** CTA_*: attributes of an entry, of a tuple, of its IP and of its protocol part. */
const ORIGINAL = 1;
const REPLY = 2;
const ZONE = 18;
const TUPLE_IP = 1;
const TUPLE_PROTOCOL = 2;

export interface Tuple {
  readonly protocol: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface ConntrackEntry {
  readonly family: 4 | 6;
  readonly original: Tuple;
  readonly reply: Tuple;
  /** The attributes that name this entry, as they came: what a delete request sends back. */
  readonly name: Buffer;
}

export interface NetlinkMessage {
  readonly type: number;
  readonly body: Buffer;
}

export const listRequest = (family: 4 | 6, sequence: number): Buffer =>
  request(GET, REQUEST | DUMP, family, sequence, Buffer.alloc(0));

export const deleteRequest = (entry: ConntrackEntry, sequence: number): Buffer =>
  request(DELETE, REQUEST | ACK, entry.family, sequence, entry.name);

/** nlmsghdr, nfgenmsg, attributes. */
function request(type: number, flags: number, family: 4 | 6, sequence: number, attributes: Buffer): Buffer {
  const message = Buffer.alloc(20);
  message.writeUInt32LE(20 + attributes.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(flags, 6);
  message.writeUInt32LE(sequence, 8);
  message.writeUInt8(AF[family], 16);
  return Buffer.concat([message, attributes]);
}

/** Takes one datagram apart. */
export function* messagesOf(datagram: Buffer): Generator<NetlinkMessage> {
  for (let at = 0; at + 16 <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < 16 || at + length > datagram.length) return;
    yield { type: datagram.readUInt16LE(at + 4), body: datagram.subarray(at + 16, at + length) };
    at += aligned(length);
  }
}

/** 0, or the errno that the kernel answered. */
export const errnoOf = (message: NetlinkMessage): number =>
  message.body.length < 4 ? 0 : -message.body.readInt32LE(0);

/** Undefined for what has no ports or no addresses. */
export function parseEntry(body: Buffer): ConntrackEntry | undefined {
  const family = body[0] === AF[4] ? 4 : body[0] === AF[6] ? 6 : undefined;
  if (family === undefined) return undefined;
  const attributes = new Map<number, Buffer>();
  const name: Buffer[] = [];
  for (const { type, value, whole } of attributesOf(body.subarray(4))) {
    attributes.set(type, value);
    if (type === ORIGINAL || type === ZONE) name.push(whole);
  }
  const original = parseTuple(attributes.get(ORIGINAL));
  const reply = parseTuple(attributes.get(REPLY));
  return original === undefined || reply === undefined
    ? undefined
    : { family, original, reply, name: Buffer.concat(name) };
}

function parseTuple(tuple: Buffer | undefined): Tuple | undefined {
  if (tuple === undefined) return undefined;
  const parts = valuesOf(tuple);
  const addresses = valuesOf(parts.get(TUPLE_IP) ?? Buffer.alloc(0));
  const ports = valuesOf(parts.get(TUPLE_PROTOCOL) ?? Buffer.alloc(0));
  const source = addresses.get(1) ?? addresses.get(3);
  const destination = addresses.get(2) ?? addresses.get(4);
  const [protocol, sourcePort, destinationPort] = [ports.get(1), ports.get(2), ports.get(3)];
  if (!source || !destination || !protocol || !sourcePort || !destinationPort) return undefined;
  return {
    protocol: protocol.readUInt8(0),
    source: ipFromBytes(source),
    destination: ipFromBytes(destination),
    sourcePort: sourcePort.readUInt16BE(0),
    destinationPort: destinationPort.readUInt16BE(0),
  };
}

const valuesOf = (nested: Buffer): Map<number, Buffer> =>
  new Map([...attributesOf(nested)].map(({ type, value }) => [type, value]));

function* attributesOf(bytes: Buffer): Generator<{ type: number; value: Buffer; whole: Buffer }> {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) return;
    const whole = Buffer.alloc(aligned(length));
    bytes.copy(whole, 0, at, at + length);
    yield { type: bytes.readUInt16LE(at + 2) & ~NESTED & 0x3fff, value: bytes.subarray(at + 4, at + length), whole };
    at += aligned(length);
  }
}

const aligned = (length: number): number => (length + 3) & ~3;
