import assert from 'node:assert/strict';
import { fail, ok } from '@tombolo/shared/model/result.ts';
import fc from 'fast-check';
import { EntryStore } from './entry-store.ts';

describe('EntryStore', () => {
  it('removes a key only by settle(), and not when it came back meanwhile', () => {
    const store = new EntryStore<number>({ weigh: (value) => value, same: Object.is });
    for (const key of ['a', 'b', 'c']) store.put(key, ok(1), key, 0);
    store.withdraw('a', '5');
    store.withdraw('b', '5');
    store.withdraw('unknown', '5');
    const upTo = new Map(store.withdrawn);
    store.put('b', ok(2), 'b', 0);
    store.withdraw('c', '6');
    assert.equal(store.values.size, 3);
    assert.deepEqual(store.settle(upTo), ['a']);
    assert.deepEqual([...store.values.keys()], ['b', 'c']);
    assert.deepEqual([...store.withdrawn.keys()], ['c']);
  });

  it('withdraws what a complete listing did not name, and forgets earlier withdrawals when one begins', () => {
    const store = new EntryStore<number>({ weigh: () => 1, same: Object.is });
    for (const key of ['a', 'b']) store.put(key, ok(1), key, 0);
    store.put('bad', fail('bad'), 'bad', 0);
    store.withdraw('a', '3');
    store.beginListing();
    assert.equal(store.withdrawn.size, 0);
    store.put('a', ok(1), 'a', 0);
    store.endListing('9');
    assert.deepEqual(
      [...store.withdrawn],
      [
        ['b', 9n],
        ['bad', 9n],
      ],
    );
    assert.deepEqual(store.settle(store.withdrawn), ['b', 'bad']);
    assert.deepEqual(store.quarantined, []);
  });

  it('takes a delete for later than the listing that was under way', () => {
    const store = new EntryStore<number>({ weigh: () => 1, same: Object.is });
    store.put('a', ok(1), 'a', 0);
    store.beginListing();
    store.withdraw('a', '7');
    store.endListing('5');
    assert.deepEqual([...store.withdrawn], [['a', 7n]]);
  });

  it('says each refusal once, and shows all there are', () => {
    const store = new EntryStore<number>({ weigh: () => 1, same: Object.is });
    const shown = () => store.quarantined.map(({ key, reason, at }) => `${key} ${reason} ${at}`);
    assert.equal(store.put('a', fail('bad'), 'a', 1), 'refused');
    assert.deepEqual(shown(), ['a bad 1']);
    assert.equal(store.put('a', fail('bad'), 'a', 2), 'same');
    assert.equal(store.put('b', fail('bad'), 'b', 3), 'refused');
    assert.equal(store.put('a', fail('worse'), 'a', 4), 'refused');
    assert.deepEqual(shown(), ['a worse 4', 'b bad 3']);
    assert.equal(store.put('a', ok(1), 'a', 5), 'changed');
    assert.deepEqual(shown(), ['b bad 3']);
  });

  it('knows nothing any more once it is cleared', () => {
    const store = new EntryStore<number>({ weigh: () => 1, same: Object.is });
    store.put('a', ok(1), 'a', 0);
    store.put('b', fail('bad'), 'b', 0);
    store.withdraw('a', '3');
    store.clear();
    assert.deepEqual([store.values.size, store.quarantined, store.withdrawn.size, store.weight], [0, [], 0, 0]);
    store.endListing('9');
    assert.equal(store.withdrawn.size, 0);
  });

  it('holds the last good value of each key, whatever the history', () => {
    const step = fc.tuple(
      fc.constantFrom('put', 'bad', 'remove'),
      fc.constantFrom('a', 'b'),
      fc.integer({ min: 1, max: 9 }),
    );
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const store = new EntryStore<number>({ weigh: (value) => value, same: Object.is });
        const expected = new Map<string, number>();
        for (const [kind, key, value] of steps) {
          if (kind === 'put') expected.set(key, value);
          if (kind === 'remove') expected.delete(key);
          if (kind === 'remove') store.withdraw(key, '1');
          else store.put(key, kind === 'put' ? ok(value) : fail('bad'), key, 0);
          store.settle(new Map(store.withdrawn));
        }
        assert.deepEqual(new Map([...store.values].sort()), new Map([...expected].sort()));
        assert.equal(
          store.weight,
          [...expected.values()].reduce((sum, value) => sum + value, 0),
        );
      }),
    );
  });
});
