/**
 * Whether the maps hold what is known of them, entry by entry: done every few seconds, so it makes no second picture of
 * them, and stops for others after each page. What differs, if something does, is for `state-difference.ts`.
 */
import { getServiceKey, putBackend, TABLES } from './layout.ts';
import { entryId } from './map-entry.ts';
import type { BackendSet, MapState } from './map-state.ts';
import { SLOTS_A_PART } from './parts.ts';
import type { ReadableMaps } from './recovery.ts';

/** Nobody may write meanwhile. */
export async function areAsKnown(state: MapState, maps: ReadableMaps): Promise<boolean> {
  let isSound = true;
  let [services, parts, members] = [0, 0, 0];
  await maps.each('services', (keys, key, values, value) => {
    services += 1;
    const set = state.services.get(entryId(getServiceKey(keys, key)));
    isSound &&= set !== undefined && pointsTo(values, value, set);
  });
  await maps.each('slots', (keys, key, values, value) => {
    parts += 1;
    const set = state.setOf(keys.readUInt32LE(key), keys.readUInt32LE(key + 4));
    isSound &&= set !== undefined && isPartOf(set, keys.readUInt32LE(key + 8), values, value);
  });
  await maps.each('affinity_ok', (keys, key) => {
    members += 1;
    const set = state.setOf(keys.readUInt32LE(key), keys.readUInt32LE(key + 4));
    isSound &&= set?.members.has(keys.readUInt32LE(key + 8)) === true;
  });
  const expected = Buffer.alloc(TABLES.backends.valueSize);
  // An array: what stands where nothing is known of is pointed to by nobody.
  const readBackend = (keys: Buffer, key: number, values: Buffer, value: number): void => {
    const backend = state.backends.get(keys.readUInt32LE(key));
    if (!backend) return;
    putBackend(expected, 0, backend);
    isSound &&= expected.compare(values, value, value + expected.length) === 0;
  };
  await maps.each('backends', readBackend, state.backends.nextId);
  return isSound && services === state.services.size && parts === state.partCount && members === state.memberCount;
}

function isPartOf({ slots, parts }: BackendSet, part: number, bytes: Buffer, at: number): boolean {
  if (!parts.has(part)) return false;
  for (let i = 0; i < SLOTS_A_PART; i += 1) {
    if ((slots[part * SLOTS_A_PART + i] ?? 0) !== bytes.readUInt32LE(at + 4 * i)) return false;
  }
  return true;
}

/** Whether these bytes of a service's entry are those of the set. */
function pointsTo(bytes: Buffer, at: number, set: BackendSet): boolean {
  const words = [set.service, set.generation, set.count, set.affinitySeconds];
  if (words.some((word, i) => bytes.readUInt32LE(at + 4 + 4 * i) !== word)) return false;
  if (!set.isInline) return true;
  for (let slot = 0; slot < set.count; slot += 1) {
    if (bytes.readUInt32LE(at + 20 + 4 * slot) !== set.slots[slot]) return false;
  }
  return true;
}
