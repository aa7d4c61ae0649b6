import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MOST_BACKENDS } from '../model/routes.ts';
import { sharesOf, type WeightedCluster } from './shares.ts';

const cluster = fc.record({
  weight: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 1_000_000 })),
  backends: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 8_000 })),
});
const totalOf = (clusters: readonly WeightedCluster[], shares: readonly number[]): number =>
  clusters.reduce((sum, { backends }, i) => sum + backends * (shares[i] ?? 0), 0);

describe('sharesOf()', () => {
  it('gives every backend a share, and never more than a frontend may have', () => {
    fc.assert(
      fc.property(fc.array(cluster, { minLength: 1, maxLength: 4 }), (clusters) => {
        const shares = sharesOf(clusters);
        assert.equal(shares.length, clusters.length);
        assert.ok(shares.every((each) => Number.isInteger(each) && each >= 1));
        assert.ok(totalOf(clusters, shares) <= MOST_BACKENDS);
      }),
      { numRuns: 300 },
    );
  });

  it('comes within a hundredth of the weights where there is room for that', () => {
    const usual = fc.record({ weight: fc.integer({ min: 1, max: 20 }), backends: fc.integer({ min: 1, max: 20 }) });
    fc.assert(
      fc.property(fc.array(usual, { minLength: 1, maxLength: 3 }), (clusters) => {
        const shares = sharesOf(clusters);
        const weights = clusters.reduce((sum, { weight }) => sum + weight, 0);
        for (const [i, { weight, backends }] of clusters.entries()) {
          const part = (backends * (shares[i] ?? 0)) / totalOf(clusters, shares);
          assert.ok(Math.abs(part - weight / weights) <= 0.010_001 * (weight / weights));
        }
      }),
    );
  });

  for (const [what, clusters, expected] of [
    ['one cluster', [[7, 3]], [1]],
    [
      'equal weights over unequal numbers',
      [
        [1, 1],
        [1, 4],
      ],
      [4, 1],
    ],
    [
      'a canary',
      [
        [99, 3],
        [1, 1],
      ],
      [33, 1],
    ],
    [
      'weights that are as the numbers',
      [
        [2, 20],
        [1, 10],
      ],
      [1, 1],
    ],
    [
      'more than fits',
      [
        [1, 30_000],
        [1_000_000, 1],
      ],
      [1, 2_765],
    ],
  ] as const) {
    it(`knows ${what}`, () => {
      assert.deepEqual(sharesOf(clusters.map(([weight, backends]) => ({ weight, backends }))), expected);
    });
  }
});
