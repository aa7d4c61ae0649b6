/** Which pools give out nothing because they overlap another. Pure. */
import { type AddressPool, poolId } from './address-pool.ts';
import { type AddressRange, apart } from './address-range.ts';
import { compareText } from './order.ts';
import { type RangeEntry, RangeIndex } from './range-index.ts';

/**
 * By `poolId`, with the pool that each overlaps: of two of one product the younger one is out, unless the older one is out
 * itself; and a pool is out with itself of which two ranges overlap. Pools of two products may say the same while people
 * move from one to the other.
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
      const other = isOverlappingItself(pool) ? pool : firstOverlapping(sound, entries);
      if (other) conflicts.set(poolId(pool), other);
      else for (const entry of entries) sound.add(entry);
    }
  }
  return conflicts;
}

/** Why the pool is out. */
export const conflictOf = (pool: AddressPool, other: AddressPool): string =>
  poolId(pool) === poolId(other) ? 'ranges of its own overlap' : `it overlaps the older pool ${poolId(other)}`;

function isOverlappingItself({ ranges }: AddressPool): boolean {
  return ([4, 6] as const).some((family) => {
    const own = ranges.filter((range) => range.family === family);
    return sizeOf(own) !== sizeOf(apart(own));
  });
}

const sizeOf = (ranges: readonly AddressRange[]): bigint =>
  ranges.reduce((size, { first, last }) => size + last - first + 1n, 0n);

function firstOverlapping<T>(index: RangeIndex<T>, entries: readonly RangeEntry<unknown>[]): T | undefined {
  for (const { range } of entries) for (const { value } of index.overlapping(range)) return value;
  return undefined;
}
