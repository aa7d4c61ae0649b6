/**
 * What the kernel tells of the connections of a network namespace, and how it is asked to close one, as bytes
 * (linux/sock_diag.h, linux/inet_diag.h). Pure.
 */
import { bytesOf, familyOf, type IpAddress, ipFromBytes } from '@tombolo/shared/model/ip.ts';
import { ACK, AF_INET, AF_INET6, DUMP, type Message, message } from '../netlink/messages.ts';

export const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
/** Linux 4.5, with CONFIG_INET_DIAG_DESTROY. */
const SOCK_DESTROY = 21;

const PROTOCOLS = { TCP: 6, UDP: 17 } as const;
export type ConnectedProtocol = keyof typeof PROTOCOLS;

/** inet_diag_req_v2 less what of it stands in the first four bytes, as in nfgenmsg. */
const REST_OF_REQUEST = 52;
const SOCKET_ID = 48;
const FILTER = 1;

/** Of TCP_*: all in which a socket has a peer, but TIME_WAIT, which waits for nobody. */
const ESTABLISHED = 1 << 1;
const WITH_PEER = ESTABLISHED | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 5) | (1 << 8) | (1 << 9) | (1 << 11);

/** INET_DIAG_BC_*. */
const [JUMP, DESTINATION] = [1, 8];

export interface Place {
  readonly protocol: ConnectedProtocol;
  readonly address: IpAddress;
  readonly port: number;
}

/** Equal for equal places. */
export const placeId = ({ protocol, address, port }: Place): string => `${address} ${port} ${protocol}`;

export interface Connection extends Place {
  readonly cookie: bigint;
  /** inet_diag_sockid and the family, by which it is asked for again. */
  readonly id: Buffer;
  readonly family: number;
}

/** As many destinations as fit into one request's filter, whose jumps are 16 bits. */
export const MOST_DESTINATIONS = 500;

/** The sockets of one family and protocol that are connected to one of these. IPv6 sockets may be connected to IPv4. */
export function connectionsTo(family: number, protocol: ConnectedProtocol, places: readonly Place[]): Buffer {
  let left = places.reduce((sum, place) => sum + conditionSize(place) + JUMP_SIZE, 0);
  const filter = places.map((place) => {
    left -= conditionSize(place) + JUMP_SIZE;
    return condition(place, left);
  });
  const states = protocol === 'TCP' ? WITH_PEER : ESTABLISHED;
  return request(
    SOCK_DIAG_BY_FAMILY,
    DUMP,
    { family, protocol, states, id: NO_ID },
    attributeBytes(FILTER, Buffer.concat(filter)),
  );
}

export const destroy = ({ family, protocol, id }: Connection): Buffer =>
  request(SOCK_DESTROY, ACK, { family, protocol, states: 0xffff_ffff, id });

/** A request to close a socket that there is not, by which is seen what the kernel can. */
export const destroyNothing = (protocol: ConnectedProtocol): Buffer =>
  request(SOCK_DESTROY, ACK, { family: AF_INET, protocol, states: 0xffff_ffff, id: NO_ID });

/** inet_diag_msg; undefined for what is none. */
export function connectionOf({ type, body }: Message, protocol: ConnectedProtocol): Connection | undefined {
  if (type !== SOCK_DIAG_BY_FAMILY || body.length < 4 + SOCKET_ID) return undefined;
  const family = body[0] ?? 0;
  const id = Buffer.from(body.subarray(4, 4 + SOCKET_ID));
  const address = id.subarray(20, family === AF_INET ? 24 : 36);
  return {
    ...{ protocol, family, id, port: id.readUInt16BE(2), cookie: id.readBigUInt64LE(40) },
    address: isMapped(address) ? ipFromBytes(address.subarray(12)) : ipFromBytes(address),
  };
}

const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
const isMapped = (address: Buffer): boolean => address.length === 16 && address.subarray(0, 12).equals(MAPPED);

const NO_ID = Buffer.alloc(SOCKET_ID);

interface Request {
  readonly family: number;
  readonly protocol: ConnectedProtocol;
  readonly states: number;
  readonly id: Buffer;
}

/** inet_diag_req_v2. */
function request(type: number, flags: number, of: Request, ...attributes: readonly Buffer[]): Buffer {
  const rest = Buffer.alloc(REST_OF_REQUEST);
  rest.writeUInt32LE(of.states, 0);
  of.id.copy(rest, 4);
  const bytes = message(type, flags, of.family, rest, ...attributes);
  bytes[17] = PROTOCOLS[of.protocol];
  return bytes;
}

function attributeBytes(type: number, value: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16LE(4 + value.length, 0);
  header.writeUInt16LE(type, 2);
  return Buffer.concat([header, value]);
}

/**
 * `left`: what the conditions behind it take, each with a jump.
 *
 * The kernel runs a filter until it stands exactly at the end, which is yes, or beyond it, which is no. Each condition that
 * holds jumps to the end; the last one that does not, 4 bytes
 * further.
 */
function condition(place: Place, left: number): Buffer {
  const size = conditionSize(place);
  const isLast = left === 0;
  const bytes = Buffer.alloc(size + (isLast ? 0 : JUMP_SIZE));
  bytes[0] = DESTINATION;
  bytes[1] = size;
  bytes.writeUInt16LE(isLast ? size + 4 : size + JUMP_SIZE, 2);
  const address = bytesOf(place.address);
  bytes[4] = familyOf(place.address) === 4 ? AF_INET : AF_INET6;
  bytes[5] = 8 * address.length;
  bytes.writeInt32LE(place.port, 8);
  bytes.set(address, 12);
  if (isLast) return bytes;
  bytes[size] = JUMP;
  bytes[size + 1] = JUMP_SIZE;
  // From the jump itself, and without that of the last one.
  bytes.writeUInt16LE(left, size + 2);
  return bytes;
}

const JUMP_SIZE = 4;
/** inet_diag_bc_op, inet_diag_hostcond and the address. */
const conditionSize = ({ address }: Place): number => 12 + (familyOf(address) === 4 ? 4 : 16);
