import assert from 'node:assert/strict';
import { type AddressPool, poolId } from '@tombolo/shared/model/address-pool.ts';
import { conflictsAmong } from '@tombolo/shared/model/pool-conflicts.ts';
import fc from 'fast-check';
import { ciliumPool, metallbPool } from './claims.fixture.ts';

interface Drawn {
  readonly isCilium: boolean;
  readonly age: number;
  readonly blocks: readonly (readonly [number, number])[];
}

const anyPools: fc.Arbitrary<readonly Drawn[]> = fc.array(
  fc.record({
    isCilium: fc.boolean(),
    age: fc.nat(5),
    blocks: fc.array(fc.tuple(fc.nat(60), fc.oneof(fc.nat(2), fc.nat(40))), { maxLength: 3 }),
  }),
  { maxLength: 25 },
);

function poolOf({ isCilium, age, blocks }: Drawn, i: number): AddressPool {
  const ranges = blocks.map(([first, more]) => [`192.0.2.${first}`, `192.0.2.${first + more}`]);
  const createdAt = `2026-01-01T00:00:0${age}Z`;
  const name = `p${`${i}`.padStart(2, '0')}`;
  return isCilium
    ? ciliumPool(name, { blocks: ranges.map(([start, stop]) => ({ start, stop })) }, createdAt)
    : metallbPool(name, { addresses: ranges.map(([start, stop]) => `${start}-${stop}`) }, createdAt);
}

const addressesOf = ({ blocks }: Drawn): ReadonlySet<number> =>
  new Set(blocks.flatMap(([first, more]) => Array.from({ length: more + 1 }, (_, i) => first + i)));

describe('conflictsAmong', () => {
  it('finds what a comparison of every address of each pool with those of all older ones finds', () => {
    fc.assert(
      fc.property(anyPools, fc.infiniteStream(fc.double({ noNaN: true })), (drawn, order) => {
        const all = drawn.map((each, i) => ({ each, pool: poolOf(each, i), addresses: addressesOf(each) }));
        const sound: typeof all = [];
        const out = new Map<string, readonly string[]>();
        for (const one of [...all].sort((a, b) => a.each.age - b.each.age)) {
          const listed = one.each.blocks.reduce((count, [, more]) => count + more + 1, 0);
          if (listed > one.addresses.size) {
            out.set(poolId(one.pool), [poolId(one.pool)]);
            continue;
          }
          const older = sound.filter(
            (other) =>
              other.each.isCilium === one.each.isCilium &&
              [...one.addresses].some((address) => other.addresses.has(address)),
          );
          if (older.length === 0) sound.push(one);
          else
            out.set(
              poolId(one.pool),
              older.map(({ pool }) => poolId(pool)),
            );
        }
        const shuffled = all
          .map(({ pool }) => ({ pool, at: order.next().value }))
          .sort((a, b) => a.at - b.at)
          .map(({ pool }) => pool);
        const found = conflictsAmong(shuffled);
        assert.deepEqual([...found.keys()].sort(), [...out.keys()].sort());
        for (const [id, older] of found) assert(out.get(id)?.includes(poolId(older)), `${id} with ${poolId(older)}`);
      }),
      { numRuns: 1_000 },
    );
  });
});
