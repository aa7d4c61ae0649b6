import assert from 'node:assert/strict';
import fc from 'fast-check';
import { KnownKeys } from './known-keys.ts';

type Step =
  | { readonly kind: 'put'; readonly key: string }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'listing'; readonly keys: readonly string[]; readonly complete: boolean };

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), key }),
  fc.record({ kind: fc.constant('delete' as const), key }),
  fc.record({ kind: fc.constant('listing' as const), keys: fc.uniqueArray(key), complete: fc.boolean() }),
);

describe('KnownKeys', () => {
  it('KnownKeys tells after each listing exactly what vanished', () => {
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const known = new KnownKeys();
        let oracle = new Set<string>();
        for (const current of steps) {
          if (current.kind === 'put') {
            known.put(current.key);
            oracle.add(current.key);
          } else if (current.kind === 'delete') {
            assert.equal(known.delete(current.key), oracle.delete(current.key));
          } else {
            known.beginListing();
            for (const listed of current.keys) known.put(listed);
            if (current.complete) {
              const missing = [...oracle].filter((old) => !current.keys.includes(old));
              assert.deepEqual([...known.endListing()].toSorted(), missing.toSorted());
              oracle = new Set(current.keys);
            } else {
              // A listing that broke off proves nothing about what it did not reach.
              for (const listed of current.keys) oracle.add(listed);
            }
          }
          assert.equal(known.size, oracle.size);
        }
      }),
    );
  });
});
