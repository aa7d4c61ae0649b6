/**
 * The maps' bytes, as bpf/layout.h has them: addresses 16 bytes (IPv4 as ::ffff:a.b.c.d) and ports in network order, all
 * else little-endian, as every machine that Node and eBPF share. Change both together, and `LAYOUT_VERSION`.
 */
import { bytesOf, familyOf, type IpAddress, ipFromBytes } from '@tombolo/shared/model/ip.ts';
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { Protocol } from '@tombolo/shared/model/service.ts';
import { MAP_CLIENTS, type MapClients, type MapFrontend } from './map-entry.ts';
import type { ServiceValue, SetKey } from './operation.ts';
import { SLOTS_A_PART } from './parts.ts';

export const LAYOUT_VERSION = 3;
/** A former one whose tables are read as this one's. */
export const READABLE_LAYOUT = 2;

/** A set of at most this many backends is kept in the service's own entry. */
export const INLINE_BACKENDS = 7;

/** Maps that the agent writes: name in the object and of the pin, and the sizes of key and value. */
export const TABLES = {
  services: { keySize: 20, valueSize: 48 },
  slots: { keySize: 12, valueSize: 4 * SLOTS_A_PART },
  backends: { keySize: 4, valueSize: 20 },
  affinity_ok: { keySize: 12, valueSize: 1 },
} as const;
export type TableName = keyof typeof TABLES;
/** Entries that each takes. */
export type TableSizes = Readonly<Record<TableName, number>>;
export const TABLE_NAMES: readonly TableName[] = ['services', 'slots', 'backends', 'affinity_ok'];

/** The maps whose size can be set. */
export const SIZED_MAPS = [...TABLE_NAMES, 'affinity', 'flows'] as const;
export type MapSizes = Readonly<Record<(typeof SIZED_MAPS)[number], number>>;

/** Maps that only the programs use; those after the first have no size that could be set. */
export const PROGRAM_MAPS = ['affinity', 'datagram_peers', 'peers', 'recent_peers', 'connected'] as const;

/** Whether it can be asked who is in a large set of a frontend's backends: clients come back to theirs. */
export const hasMembers = (protocol: Protocol, affinitySeconds: number): boolean =>
  affinitySeconds > 0 || protocol === 'UDP';

/** Bits of a service's scope. */
const NODE_PORT = 1;
const OUTSIDE = 2;
const ADMITTED = 4;
const CLIENT_BITS: Readonly<Record<MapClients, number>> = {
  outside: OUTSIDE,
  admitted: ADMITTED,
  'admitted outside': ADMITTED | OUTSIDE,
};

const PROTOCOL_NUMBERS = { TCP: 6, UDP: 17, SCTP: 132 } as const;

export function putAddress(buffer: Buffer, at: number, address: IpAddress): void {
  if (familyOf(address) === 6) {
    buffer.set(bytesOf(address), at);
    return;
  }
  buffer.fill(0, at, at + 10);
  buffer.writeUInt16BE(0xffff, at + 10);
  // By hand: there are hundreds of thousands, and the text is canonical.
  let part = 0;
  let to = at + 12;
  for (let i = 0; i < address.length; i += 1) {
    const digit = address.charCodeAt(i) - 48;
    if (digit >= 0) part = part * 10 + digit;
    else {
      buffer[to] = part;
      to += 1;
      part = 0;
    }
  }
  buffer[to] = part;
}

export function getAddress(buffer: Buffer, at: number): IpAddress {
  const isMapped =
    buffer.readUInt32LE(at) === 0 && buffer.readUInt32LE(at + 4) === 0 && buffer.readUInt32BE(at + 8) === 0xffff;
  if (!isMapped) return ipFromBytes(buffer.subarray(at, at + 16));
  return `${buffer[at + 12]}.${buffer[at + 13]}.${buffer[at + 14]}.${buffer[at + 15]}` as IpAddress;
}

export function putServiceKey(buffer: Buffer, at: number, frontend: MapFrontend): void {
  const { kind, address, port, protocol, clients } = frontend;
  putAddress(buffer, at, address);
  buffer.writeUInt16BE(port, at + 16);
  buffer[at + 18] = PROTOCOL_NUMBERS[protocol];
  buffer[at + 19] = (kind === 'NodePort' ? NODE_PORT : 0) | (clients === undefined ? 0 : CLIENT_BITS[clients]);
}

export function getServiceKey(buffer: Buffer, at: number): MapFrontend {
  const scope = buffer[at + 19] ?? 0;
  const clients = MAP_CLIENTS.find((each) => CLIENT_BITS[each] === (scope & ~NODE_PORT));
  return {
    kind: (scope & NODE_PORT) === 0 ? 'ClusterIP' : 'NodePort',
    address: getAddress(buffer, at),
    port: buffer.readUInt16BE(at + 16),
    protocol: buffer[at + 18] === PROTOCOL_NUMBERS.UDP ? 'UDP' : 'TCP',
    ...(clients !== undefined && { clients }),
  };
}

export function putBackend(buffer: Buffer, at: number, { address, port, clusterId }: RouteBackend): void {
  putAddress(buffer, at, address);
  buffer.writeUInt16BE(port, at + 16);
  buffer.writeUInt16LE(clusterId, at + 18);
}

export function getBackend(buffer: Buffer, at: number): RouteBackend {
  return {
    address: getAddress(buffer, at),
    port: buffer.readUInt16BE(at + 16),
    clusterId: buffer.readUInt16LE(at + 18),
  };
}

/** No backend has port 0. */
export const isEmptyBackend = (buffer: Buffer, at: number): boolean => buffer.readUInt16BE(at + 16) === 0;

/** The kernel keeps the lock in the first word, and writes around it. */
export function putService(buffer: Buffer, at: number, entry: ServiceValue): void {
  putWords(buffer, at, 0, entry.id, entry.generation, entry.count, entry.affinitySeconds, ...entry.inline);
  buffer.fill(0, at + 20 + 4 * entry.inline.length, at + TABLES.services.valueSize);
}

export function getService(buffer: Buffer, at: number): ServiceValue {
  const count = buffer.readUInt32LE(at + 12);
  const inline = count <= INLINE_BACKENDS ? count : 0;
  return {
    id: buffer.readUInt32LE(at + 4),
    generation: buffer.readUInt32LE(at + 8),
    count,
    affinitySeconds: buffer.readUInt32LE(at + 16),
    inline: Array.from({ length: inline }, (_, slot) => buffer.readUInt32LE(at + 20 + 4 * slot)),
  };
}

/** Of a part of the slots or a member; the third word of the key is the part's number, or the member's backend. */
export const getSetKey = (buffer: Buffer, at: number): SetKey => ({
  service: buffer.readUInt32LE(at),
  generation: buffer.readUInt32LE(at + 4),
});

/** Keys of parts, members and backends, values of parts: runs of numbers. */
export function putWords(buffer: Buffer, at: number, ...words: readonly number[]): void {
  for (let i = 0; i < words.length; i += 1) buffer.writeUInt32LE(words[i] ?? 0, at + 4 * i);
}
