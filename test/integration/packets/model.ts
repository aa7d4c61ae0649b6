/**
 * Which backend a packet that begins a flow gets, by what the maps hold: worked out from their bytes alone, as
 * bpf/layout.h lays them out and as rendezvous hashing is defined, and not from the planner or its picture of them.
 */
import type { TableName } from '@tombolo/node-agent/datapath/ebpf/layout.ts';

type Bytes = ReadonlyMap<string, Buffer>;

/** Value by key (hex), for each map. */
export type MapBytes = Readonly<Record<TableName, Bytes>>;

/** Addresses as 16 bytes in hex, IPv4 as ::ffff:a.b.c.d. */
export interface Asked {
  readonly client: string;
  readonly clientPort: number;
  readonly service: string;
  readonly port: number;
  readonly protocol: number;
}

const MASK = (1n << 64n) - 1n;
const INLINE = 7;
const MOST_DRAWS = 1024;
const SLOTS_A_PART = 16;

/** MurmurHash3's finalizer for 64 bits (Appleby, public domain). */
function finalize(value: bigint): bigint {
  let hash = value & MASK;
  hash ^= hash >> 33n;
  hash = (hash * 0xff51afd7ed558ccdn) & MASK;
  hash ^= hash >> 33n;
  hash = (hash * 0xc4ceb9fe1a85ec53n) & MASK;
  return hash ^ (hash >> 33n);
}

function hashAddress(hex: string, seed: bigint): bigint {
  const bytes = Buffer.from(hex, 'hex');
  const word = (i: number): bigint => BigInt(bytes.readUInt32LE(4 * i));
  const high = (word(0) << 32n) | word(1);
  const low = (word(2) << 32n) | word(3);
  return finalize(finalize(seed ^ high) ^ low);
}

/** As a little-endian machine reads two bytes in network order. */
const swapped = (port: number): bigint => BigInt(((port & 255) << 8) | (port >> 8));

/** `ADDRESS-IN-HEX:PORT`; undefined where the packet is left as it is. */
export function backendFor(maps: MapBytes, { client, clientPort, service, port, protocol }: Asked): string | undefined {
  const key = Buffer.alloc(20);
  key.write(service, 0, 'hex');
  key.writeUInt16BE(port, 16);
  key[18] = protocol;
  const entry = maps.services.get(key.toString('hex'));
  if (!entry) return undefined;
  const [id, generation, count] = [4, 8, 12].map((at) => entry.readUInt32LE(at)) as [number, number, number];
  const slot = (i: number): number => {
    if (count <= INLINE) return entry.readUInt32LE(20 + 4 * i);
    const words = Buffer.alloc(12);
    const part = Math.floor(i / SLOTS_A_PART);
    for (const [at, word] of [id, generation, part].entries()) words.writeUInt32LE(word, 4 * at);
    return maps.slots.get(words.toString('hex'))?.readUInt32LE(4 * (i % SLOTS_A_PART)) ?? 0;
  };
  const flow = finalize(hashAddress(client, 0n) ^ (swapped(clientPort) << 8n) ^ BigInt(protocol));
  if (count > MOST_DRAWS) return textOf(maps, slot(Number(((finalize(flow) >> 32n) * BigInt(count)) >> 32n)));
  let best: { readonly id: number; readonly drawn: bigint } | undefined;
  let share = 0n;
  for (let i = 0; i < count; i += 1) {
    const backend = slot(i);
    share = i > 0 && slot(i - 1) === backend ? share + 1n : 0n;
    const bytes = backendBytes(maps, backend);
    if (bytes === undefined) continue;
    const seed = finalize(flow + share) ^ BigInt(bytes.readUInt16LE(16));
    const drawn = hashAddress(bytes.toString('hex', 0, 16), seed);
    if (best === undefined || drawn >= best.drawn) best = { id: backend, drawn };
  }
  return best && textOf(maps, best.id);
}

function backendBytes(maps: MapBytes, id: number): Buffer | undefined {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(id);
  const bytes = maps.backends.get(key.toString('hex'));
  return bytes && bytes.readUInt16BE(16) > 0 ? bytes : undefined;
}

function textOf(maps: MapBytes, id: number): string | undefined {
  const bytes = backendBytes(maps, id);
  return bytes && `${bytes.toString('hex', 0, 16)}:${bytes.readUInt16BE(16)}`;
}
