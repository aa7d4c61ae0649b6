/**
 * What differs between what the maps should hold and what they were found to hold, as far as a socket can meet it: what
 * is on its way out is nobody's. Pure.
 */
import { isSameBackend } from '@tombolo/shared/model/routes.ts';
import type { BackendSet, MapState } from './map-state.ts';

/** In a few words, or undefined. */
export function stateDifference(expected: MapState, found: MapState): string | undefined {
  const names = new Set([...expected.services.keys(), ...found.services.keys()]);
  const differing = [...names].filter((name) => {
    const [wanted, present] = [expected.services.get(name), found.services.get(name)];
    return !wanted || !present || !isSameSet(wanted, present) || !leadsToSame(wanted, expected, found);
  });
  if (differing.length === 0) return undefined;
  return `${differing.length} of ${names.size} frontends are not as they were in the maps, first ${differing[0]}`;
}

function isSameSet(a: BackendSet, b: BackendSet): boolean {
  if (a.service !== b.service || a.generation !== b.generation) return false;
  if (a.count !== b.count || a.affinitySeconds !== b.affinitySeconds || a.members.size !== b.members.size) return false;
  for (let slot = 0; slot < a.count; slot += 1) if (a.slots[slot] !== b.slots[slot]) return false;
  for (const member of a.members) if (!b.members.has(member)) return false;
  return true;
}

function leadsToSame({ slots, count }: BackendSet, expected: MapState, found: MapState): boolean {
  for (let slot = 0; slot < count; slot += 1) {
    const id = slots[slot] ?? 0;
    const [wanted, present] = [expected.backends.get(id), found.backends.get(id)];
    if (!wanted || !present || !isSameBackend(wanted, present)) return false;
  }
  return true;
}
