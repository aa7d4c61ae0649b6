/**
 * What differs between two sets of backends, and the fewest slots to write so that one becomes the other. Pure.
 */
import { compareRouteBackends, type RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { SortedBackends } from './operation.ts';

export interface Difference {
  readonly added: readonly RouteBackend[];
  readonly removed: readonly RouteBackend[];
}

/**
 * Undefined when more than `most` were added, or removed; or when one that was added is out of place. All others are in
 * the order of `before`.
 */
export function differenceOf(before: SortedBackends, after: SortedBackends, most: number): Difference | undefined {
  const added: RouteBackend[] = [];
  const removed: RouteBackend[] = [];
  if (before === after) return { added, removed };
  for (let i = 0, j = 0; i < before.length || j < after.length; ) {
    const [old, wanted] = [before[i], after[j]];
    const order = old && wanted ? orderOf(old, wanted) : old ? -1 : 1;
    const isSame = order === 0 && old?.clusterId === wanted?.clusterId;
    if (order <= 0) i += 1;
    if (order >= 0) j += 1;
    if (isSame) continue;
    if (order <= 0 && old) removed.push(old);
    if (order >= 0 && wanted) {
      if (!isInPlace(after, j - 1)) return undefined;
      added.push(wanted);
    }
    if (added.length > most || removed.length > most) return undefined;
  }
  return { added, removed };
}

function isInPlace(list: SortedBackends, at: number): boolean {
  const [previous, here, next] = [list[at - 1], list[at], list[at + 1]];
  if (here && previous && isBehind(previous, here)) return false;
  return !here || !next || !isBehind(here, next);
}

/** One of the same address and port may follow, if it is the same. */
function isBehind(a: RouteBackend, b: RouteBackend): boolean {
  const order = compareRouteBackends(a, b);
  return order > 0 || (order === 0 && a.clusterId !== b.clusterId);
}

/** Nearly all are equal, and many are the same object. */
const orderOf = (a: RouteBackend, b: RouteBackend): number =>
  a === b || (a.address === b.address && a.port === b.port) ? 0 : compareRouteBackends(a, b);

/** Which of the slots hold one of these. */
export function slotsOf(slots: readonly number[], backends: ReadonlySet<number>): readonly number[] {
  const found: number[] = [];
  // A plain loop, as there may be tens of thousands and the change be of one.
  for (let slot = 0; backends.size > 0 && slot < slots.length; slot += 1) {
    if (backends.has(slots[slot] ?? 0)) found.push(slot);
  }
  return found;
}

/**
 * What to write into slots, one after another, before the count changes by `added.length - freed.length`: each write
 * leaves whoever picks a slot with a backend of the old or the new set. `freed` are the slots of what was removed, in
 * order; the last of the slots that will not count any more go into those that `added` leaves free.
 */
export function slotWrites(
  slots: readonly number[],
  freed: readonly number[],
  added: readonly number[],
): readonly { readonly slot: number; readonly backend: number }[] {
  const count = slots.length + added.length - freed.length;
  const isFreed = new Set(freed);
  const places = freed.filter((slot) => slot < count);
  for (let slot = slots.length; slot < count; slot += 1) places.push(slot);
  const moved = slots.slice(count).filter((_, i) => !isFreed.has(count + i));
  const backends = [...added, ...moved];
  return places.map((slot, i) => ({ slot, backend: backends[i] ?? 0 }));
}
