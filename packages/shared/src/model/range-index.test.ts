import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { AddressRange } from './address-range.ts';
import { type RangeEntry, RangeIndex } from './range-index.ts';

const anyRange: fc.Arbitrary<AddressRange> = fc
  .tuple(fc.constantFrom(4 as const, 6 as const), fc.nat(30), fc.oneof(fc.nat(3), fc.nat(30)))
  .map(([family, first, more]) => ({ family, first: BigInt(first), last: BigInt(first + more) }));

describe('RangeIndex', () => {
  it('finds what a look at each and every one finds', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyRange, fc.boolean()), { maxLength: 40 }), anyRange, (all, asked) => {
        const entries = all.map(([range], value): RangeEntry<number> => ({ range, value }));
        const index = new RangeIndex(entries);
        const added = entries.filter((_, i) => all[i]?.[1]);
        for (const entry of added) index.add(entry);
        const numbers = ({ first, last }: AddressRange) =>
          Array.from({ length: Number(last - first) + 1 }, (_, i) => Number(first) + i);
        const wanted = new Set(numbers(asked));
        const expected = added.filter(
          ({ range }) => range.family === asked.family && numbers(range).some((number) => wanted.has(number)),
        );
        const found = [...index.overlapping(asked)];
        assert.deepEqual(new Set(found), new Set(expected));
        assert.equal(found.length, expected.length);
        const firsts = found.map(({ range }) => Number(range.first));
        assert.deepEqual(
          firsts,
          [...firsts].sort((a, b) => a - b),
        );
      }),
      { numRuns: 2_000 },
    );
  });
});
