/**
 * The few netlink messages of connection tracking that we need (linux/netfilter/nfnetlink_conntrack.h): ask for entries
 * of a family, read their addresses, delete one. Pure bytes.
 */
import { bytesOf, type IpAddress, ipFromBytes } from '@tombolo/shared/model/ip.ts';
import {
  ACK,
  AF_INET,
  AF_INET6,
  attribute,
  attributesOf,
  DUMP,
  hostWord,
  type Message,
  message,
  nested,
} from '../netlink/messages.ts';

const SUBSYSTEM = 1 << 8;
const GET = SUBSYSTEM | 1;
const DELETE = SUBSYSTEM | 2;

const AF: Readonly<Record<4 | 6, number>> = { 4: AF_INET, 6: AF_INET6 };
/** CTA_*: attributes of an entry, of a tuple, of its IP and of its protocol part. */
const ORIGINAL = 1;
const REPLY = 2;
const ZONE = 18;
const TUPLE_IP = 1;
const TUPLE_PROTOCOL = 2;
const DESTINATION: Readonly<Record<4 | 6, number>> = { 4: 2, 6: 4 };
/** CTA_FILTER, and which fields of the original tuple it is about. */
const FILTER = 25;
const [BY_DESTINATION, BY_PROTOCOL, BY_DESTINATION_PORT] = [2, 8, 32];

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
  /** The attributes that name this entry: what a delete request sends back. */
  readonly name: Buffer;
}

/** Of the packet that a flow began with: what all that are wanted have. */
export interface FlowFilter {
  readonly protocol: number;
  readonly destination?: IpAddress | undefined;
  readonly destinationPort?: number | undefined;
}

/** A kernel before 5.8 overlooks the filter, and tells of all. */
export function listRequest(family: 4 | 6, { protocol, destination, destinationPort }: FlowFilter): Buffer {
  const addresses = destination && nested(TUPLE_IP, attribute(DESTINATION[family], Buffer.from(bytesOf(destination))));
  const port = Buffer.alloc(2);
  port.writeUInt16BE(destinationPort ?? 0);
  const ports = destinationPort === undefined ? [] : [attribute(3, port)];
  const numbers = nested(TUPLE_PROTOCOL, attribute(1, Buffer.from([protocol])), ...ports);
  const flags = hostWord(
    BY_PROTOCOL | (destination ? BY_DESTINATION : 0) | (ports.length > 0 ? BY_DESTINATION_PORT : 0),
  );
  return message(
    GET,
    DUMP,
    AF[family],
    nested(ORIGINAL, ...(addresses ? [addresses] : []), numbers),
    nested(FILTER, attribute(1, flags)),
  );
}

export const deleteRequest = ({ family, name }: ConntrackEntry): Buffer => message(DELETE, ACK, AF[family], name);

/** Undefined for what has no ports or no addresses. */
export function parseEntry({ body }: Message): ConntrackEntry | undefined {
  const family = body[0] === AF[4] ? 4 : body[0] === AF[6] ? 6 : undefined;
  if (family === undefined) return undefined;
  const attributes = valuesOf(body.subarray(4));
  const [first, zone] = [attributes.get(ORIGINAL), attributes.get(ZONE)];
  const original = parseTuple(first);
  const reply = parseTuple(attributes.get(REPLY));
  if (first === undefined || original === undefined || reply === undefined) return undefined;
  const name = [nested(ORIGINAL, first), ...(zone === undefined ? [] : [attribute(ZONE, zone)])];
  return { family, original, reply, name: Buffer.concat(name) };
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

const valuesOf = (bytes: Buffer): Map<number, Buffer> =>
  new Map([...attributesOf(bytes)].map(({ type, value }) => [type, value]));
