/** Which pools give out nothing because they overlap another. Pure. */
import { type AddressPool, poolId } from '@tombolo/shared/model/address-pool.ts';
import { compareText } from '@tombolo/shared/model/order.ts';
import { type RangeEntry, RangeIndex } from '@tombolo/shared/model/range-index.ts';

/**
 * Of two pools of one product that overlap the younger one is out, unless the older one is out itself; by `poolId`, with
 * an older one that it overlaps. Pools of two products may say the same while people move from one to the other.
 */
export function conflictsAmong(pools: readonly AddressPool[]): ReadonlyMap<string, AddressPool> {
  const conflicts = new Map<string, AddressPool>();
  for (const product of ['cilium', 'metallb'] as const) {
    const oldestFirst = pools
      .filter((pool) => pool.product === product)
      .sort((a, b) => compareText(a.createdAt, b.createdAt) || compareText(a.name, b.name))
      .map((pool) => ({ pool, entries: pool.ranges.map((range) => ({ range, value: pool })) }));
    const sound = new RangeIndex(oldestFirst.flatMap(({ entries }) => entries));
    for (const { pool, entries } of oldestFirst) {
      const older = firstOverlapping(sound, entries);
      if (older) conflicts.set(poolId(pool), older);
      else for (const entry of entries) sound.add(entry);
    }
  }
  return conflicts;
}

function firstOverlapping<T>(index: RangeIndex<T>, entries: readonly RangeEntry<unknown>[]): T | undefined {
  for (const { range } of entries) for (const { value } of index.overlapping(range)) return value;
  return undefined;
}
