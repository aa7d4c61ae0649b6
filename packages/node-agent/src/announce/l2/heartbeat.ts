/**
 * What agents tell each other several times a second: that they are alive, whether they would answer for addresses, where,
 * and whom they hear. A datagram is a JSON text behind its HMAC-SHA-256 under a key that all agents of the cluster have.
 *
 * It is for one receiver, and repeats the number under which he started (`echo`): what was recorded earlier, or on the way
 * to another, is nothing that he believes. Its own number, and the count of what was sent under it, make sure that no
 * datagram counts twice.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import type { Mac } from './frames.ts';

/** An interface at which a node could answer. */
export interface SpeakerLink {
  readonly name: string;
  readonly mac: Mac;
}

export interface Heartbeat {
  readonly from: string;
  readonly to: string;
  /** Drawn at the sender's start: 16 hex digits. */
  readonly boot: string;
  /** `boot` of the receiver while the sender hears it; else empty. */
  readonly echo: string;
  /** Grows by each one that is sent under `boot`. */
  readonly sequence: number;
  /** It would answer. */
  readonly isReady: boolean;
  readonly links: readonly SpeakerLink[];
  /** `nodesDigest` of the names of all nodes that the sender knows; the two below are bits in their order. */
  readonly nodes: string;
  readonly hears: string;
  readonly hearsReady: string;
}

const MAC_BYTES = 32;
/** So that a datagram is never in fragments. */
const MOST_BYTES = 1_400;
/** Of one node. */
export const MOST_LINKS = 8;
const MOST_TEXT = 700;

/** In a cluster of thousands of nodes it does not tell who is heard: that would not fit. */
export function encodeHeartbeat(heartbeat: Heartbeat, key: Buffer): Buffer {
  const all = { version: 1, ...heartbeat, links: heartbeat.links.slice(0, MOST_LINKS) };
  const whole = Buffer.from(JSON.stringify(all));
  const isTooLong = whole.length > MOST_BYTES - MAC_BYTES;
  const body = isTooLong ? Buffer.from(JSON.stringify({ ...all, hears: '', hearsReady: '' })) : whole;
  return Buffer.concat([macOf(body, key), body]);
}

/** What is not from one who has the key says only that. */
export function decodeHeartbeat(datagram: Buffer, key: Buffer): Result<Heartbeat> {
  if (datagram.length <= MAC_BYTES || datagram.length > MOST_BYTES) return fail('it is too short or too long');
  const body = datagram.subarray(MAC_BYTES);
  if (!timingSafeEqual(datagram.subarray(0, MAC_BYTES), macOf(body, key)))
    return fail('it is not from an agent of this cluster: the key differs');
  let json: unknown;
  try {
    json = JSON.parse(body.toString());
  } catch {
    return fail('it is no JSON');
  }
  const heartbeat = heartbeatOf(json);
  return heartbeat ? ok(heartbeat) : fail('a field is missing, or not what it should be');
}

function heartbeatOf(json: unknown): Heartbeat | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const { version, from, to, boot, echo, sequence, isReady, links, nodes, hears, hearsReady } = json as Record<
    string,
    unknown
  >;
  const texts = [from, to, boot, echo, nodes, hears, hearsReady];
  if (version !== 1 || !texts.every((text) => typeof text === 'string' && text.length <= MOST_TEXT)) return undefined;
  if (!Number.isSafeInteger(sequence) || typeof isReady !== 'boolean' || !Array.isArray(links)) return undefined;
  if (!links.every(isLink) || links.length > MOST_LINKS) return undefined;
  return json as Heartbeat;
}

function isLink(json: unknown): json is SpeakerLink {
  if (typeof json !== 'object' || json === null) return false;
  const { name, mac } = json as Record<string, unknown>;
  return typeof name === 'string' && typeof mac === 'string' && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac);
}

const macOf = (body: Buffer, key: Buffer): Buffer => createHmac('sha256', key).update(body).digest();

/** `sorted`: names. */
export const nodesDigest = (sorted: readonly string[]): string =>
  createHash('sha256').update(sorted.join('\n')).digest('hex').slice(0, 16);

/** One bit for each of `all`, as base64. */
export function bitsOf(all: readonly string[], has: (name: string) => boolean): string {
  const bytes = Buffer.alloc(Math.ceil(all.length / 8));
  for (const [i, name] of all.entries()) if (has(name)) bytes[i >> 3] = (bytes[i >> 3] ?? 0) | (1 << (i & 7));
  return bytes.toString('base64');
}

/** What `bitsOf` said of each, by its place in that order; of places that it does not have, false. */
export function bitReader(bits: string): (place: number) => boolean {
  const bytes = Buffer.from(bits, 'base64');
  return (place) => (((bytes[place >> 3] ?? 0) >> (place & 7)) & 1) === 1;
}
