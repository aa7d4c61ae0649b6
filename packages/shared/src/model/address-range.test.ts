import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type AddressRange, shareOf } from './address-range.ts';

const anyRange: fc.Arbitrary<AddressRange> = fc.oneof(
  fc
    .tuple(fc.bigInt(0n, 2n ** 32n - 1n), fc.bigInt(0n, 40n))
    .map(([first, more]) => ({ family: 4 as const, first, last: first + more })),
  fc
    .tuple(fc.bigInt(0n, 2n ** 127n), fc.bigInt(0n, 2n ** 126n))
    .map(([first, more]) => ({ family: 6 as const, first, last: first + more })),
);

describe('shareOf', () => {
  it('makes parts that follow each other, are the whole together, and differ in size by one at the most', () => {
    fc.assert(
      fc.property(anyRange, fc.integer({ min: 1, max: 60 }), (range, of) => {
        const parts = Array.from({ length: of }, (_, i) => shareOf(range, { part: i + 1, of }));
        let next = range.first;
        const sizes = parts.map((part) => {
          if (!part) return 0n;
          assert.equal(part.family, range.family);
          assert.equal(part.first, next);
          next = part.last + 1n;
          return part.last - part.first + 1n;
        });
        assert.equal(next, range.last + 1n);
        const sorted = [...sizes].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
        assert((sorted.at(-1) ?? 0n) - (sorted[0] ?? 0n) <= 1n, `${sizes}`);
      }),
      { numRuns: 1_000 },
    );
  });
});
