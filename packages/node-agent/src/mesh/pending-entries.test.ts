import assert from 'node:assert/strict';
import type { PrefixEvent } from '@tombolo/shared/etcd/read/reader.ts';
import fc from 'fast-check';
import { PendingEntries, restAfter } from './pending-entries.ts';

const put = (key: string, revision: number, bytes = 1): PrefixEvent => ({
  kind: 'put',
  key,
  value: Buffer.alloc(bytes),
  revision: `${revision}`,
});
const LARGE = 550_000;

function takeAll(pending: PendingEntries, now: number): readonly string[] {
  const taken: string[] = [];
  for (let event = pending.take(now); event; event = pending.take(now)) {
    taken.push(event.kind === 'synced' ? `synced ${event.revision}` : `${event.key} ${event.revision}`);
  }
  return taken;
}

describe('PendingEntries', () => {
  it('hands out the last word for each key, in the order in which the keys were first heard of', () => {
    const pending = new PendingEntries();
    for (const event of [put('a', 1), put('b', 2), put('a', 3)]) pending.add(event);
    pending.add({ kind: 'delete', key: 'b', revision: '4' });
    assert.deepEqual(takeAll(pending, 0), ['a 3', 'b 4']);
    assert.deepEqual(takeAll(pending, 0), []);
  });

  it('hands out the end of a listing after all that came before it, also what rests', () => {
    const pending = new PendingEntries();
    pending.add(put('large', 1, LARGE));
    assert.deepEqual(takeAll(pending, 0), ['large 1']);
    pending.add(put('large', 2, LARGE));
    pending.add(put('a', 3));
    pending.add({ kind: 'synced', revision: '3' });
    pending.add(put('b', 4));
    assert.deepEqual(takeAll(pending, 1), ['a 3', 'b 4']);
    const at = pending.nextAt ?? 0;
    assert.equal(at, restAfter(LARGE));
    assert.deepEqual(takeAll(pending, at - 1), []);
    assert.deepEqual(takeAll(pending, at), ['large 2', 'synced 3']);
    assert.equal(pending.nextAt, undefined);
  });

  it('gives the end of an empty listing', () => {
    const pending = new PendingEntries();
    pending.add({ kind: 'synced', revision: '7' });
    assert.deepEqual(takeAll(pending, 0), ['synced 7']);
  });

  it('takes a key that rested at once', () => {
    const pending = new PendingEntries();
    pending.add(put('large', 1, LARGE));
    takeAll(pending, 0);
    pending.add(put('large', 2, LARGE));
    assert.deepEqual(takeAll(pending, restAfter(LARGE) + 1), ['large 2']);
  });

  it('gives one key a fortieth of the time at the most, if 10,000 backends cost 25 ms', () => {
    assert.ok(restAfter(LARGE) >= 975 && restAfter(LARGE) <= 1_100);
    assert.equal(restAfter(10_000), 0, 'small ones need no rest');
  });

  it('hands out the newest of every key in the end, whatever the order of events and the pauses', () => {
    const step = fc.record({
      key: fc.constantFrom('a', 'b', 'c', ''),
      bytes: fc.constantFrom(1, LARGE),
      wait: fc.constantFrom(0, 0, 400, 1_200),
      take: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const pending = new PendingEntries();
        const newest = new Map<string, string>();
        const seen = new Map<string, string>();
        let listed = 0;
        let now = 0;
        const take = (): boolean => {
          const event = pending.take(now);
          if (event?.kind === 'synced') {
            for (const [key, revision] of newest) {
              if (Number(revision) <= Number(event.revision)) assert.equal(seen.get(key), revision, 'told before');
            }
          } else if (event) seen.set(event.key, event.revision);
          return event !== undefined;
        };
        steps.forEach(({ key, bytes, wait, take: count }, i) => {
          now += wait;
          if (key === '') pending.add({ kind: 'synced', revision: `${i}` });
          else pending.add(put(key, i, bytes));
          if (key === '') listed = i;
          else newest.set(key, `${i}`);
          for (let n = 0; n < count; n++) take();
        });
        for (let round = 0; round < 100 && (take() || pending.nextAt !== undefined); round++) now += 100;
        assert.deepEqual(seen, newest);
        assert.equal(pending.take(now), undefined, `nothing is left, not even the end at ${listed}`);
      }),
    );
  });
});
