import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { compareRouteBackends, type RouteBackend } from '@tombolo/shared/model/routes.ts';
import fc from 'fast-check';
import { differenceOf, slotsOf, slotWrites } from './set-changes.ts';

const backends = fc
  .uniqueArray(fc.record({ n: fc.nat(30), clusterId: fc.nat(1) }), { selector: ({ n }) => n })
  .map((list) => list.map(({ n, clusterId }): RouteBackend => ({ address: ip(`10.0.0.${n}`), port: 80, clusterId })))
  .map((list) => list.sort(compareRouteBackends));
const textsOf = (list: readonly RouteBackend[]) => list.map(({ address, clusterId }) => `${address} ${clusterId}`);

describe('differenceOf()', () => {
  it('is what one set has and the other has not', () => {
    fc.assert(
      fc.property(backends, backends, (before, after) => {
        const { added = [], removed = [] } = differenceOf(before, after, 100) ?? {};
        const [old, wanted] = [textsOf(before), textsOf(after)];
        assert.deepEqual(
          textsOf(added),
          wanted.filter((text) => !old.includes(text)),
        );
        assert.deepEqual(
          textsOf(removed),
          old.filter((text) => !wanted.includes(text)),
        );
      }),
    );
  });

  it('ends where it gets too large', () => {
    fc.assert(
      fc.property(backends, backends, fc.nat(5), (before, after, most) => {
        const { added = [], removed = [] } = differenceOf(before, after, 100) ?? {};
        const isTooLarge = added.length > most || removed.length > most;
        assert.equal(differenceOf(before, after, most) === undefined, isTooLarge);
      }),
    );
  });
});

describe('differenceOf(), given what is not in order', () => {
  const one = (n: number, clusterId = 1): RouteBackend => ({ address: ip(`10.0.0.${n}`), port: 80, clusterId });
  for (const [what, before, after] of [
    ['one too early', [one(1), one(3)], [one(1), one(3), one(2)]],
    ['one twice, of another cluster', [one(1)], [one(1), one(1, 2)]],
    ['one too late', [one(1), one(2)], [one(3), one(1), one(2)]],
  ] as const) {
    it(`finds none: ${what}`, () => {
      assert.equal(differenceOf(before, after, 10), undefined);
    });
  }
});

describe('slotWrites()', () => {
  const sets = fc.record({
    slots: fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
    out: fc.uniqueArray(fc.nat(30)),
    added: fc.uniqueArray(fc.integer({ min: 31, max: 60 })),
  });

  it('leads from one set to the other by writes that each leave backends of the two', () => {
    fc.assert(
      fc.property(sets, ({ slots, out, added }) => {
        const removed = new Set(slots.filter((_, slot) => out.includes(slot)));
        const wanted = [...slots.filter((id) => !removed.has(id)), ...added];
        const freed = slotsOf(slots, removed);
        const held = [...slots];
        const writes = slotWrites(slots, freed, added);
        for (const { slot, backend } of writes) {
          held[slot] = backend;
          assert.ok(held.every((id) => slots.includes(id) || added.includes(id)));
        }
        const bySize = (a: number, b: number): number => a - b;
        assert.deepEqual(held.slice(0, wanted.length).sort(bySize), wanted.sort(bySize));
        assert.ok(writes.length <= Math.max(added.length, removed.size));
      }),
    );
  });
});
