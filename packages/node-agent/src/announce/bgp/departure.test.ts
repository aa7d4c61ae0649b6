import assert from 'node:assert/strict';
import { Departure } from './departure.ts';
import type { BgpIntent, Neighbor } from './plan.ts';

const KNOWN = new Set(['192.0.2.1/32']);
const intent = (...prefixes: readonly string[]): BgpIntent => ({
  ...{ instance: undefined, problems: [] },
  neighbors: [{ routes: new Map(prefixes.map((prefix) => [prefix, {}])) } as unknown as Neighbor],
});

describe('a node that leaves its traffic to others', () => {
  it('is the last resort for a while, and gone then, for as long as it is excluded', () => {
    const departure = new Departure(10_000);
    assert.equal(departure.stay(0, false, true), 'full');
    assert.equal(departure.isToBegin(false), false);
    assert.equal(departure.isToBegin(true), true);
    departure.begin(1_000, KNOWN);
    assert.equal(departure.isToBegin(true), false);
    assert.equal(departure.stay(1_000, true, true), 'last resort');
    assert.equal(departure.endsIn(1_000), 10_000);
    assert.equal(departure.stay(10_999, true, true), 'last resort');
    assert.equal(departure.stay(11_000, true, true), 'gone');
    assert.equal(departure.endsIn(11_000), undefined);
    assert.equal(departure.stay(99_000, true, true), 'gone');
    // And from the beginning when it comes back and leaves again.
    assert.equal(departure.stay(100_000, false, true), 'full');
    assert.equal(departure.isToBegin(true), true);
  });

  it('says nothing that routers have not heard: an agent that starts on an excluded node is gone', () => {
    const departure = new Departure(10_000);
    departure.begin(0, new Set());
    assert.equal(departure.stay(0, true, true), 'gone');
    departure.stay(1, false, true);
    departure.begin(2, KNOWN);
    const narrowed = departure.narrowed(intent('192.0.2.1/32', '192.0.2.9/32'));
    assert.deepEqual([...(narrowed.neighbors[0]?.routes.keys() ?? [])], [...KNOWN]);
  });

  it('stays the last resort while its datapath does not work', () => {
    const departure = new Departure(10_000);
    assert.equal(departure.stay(0, false, false), 'last resort');
    assert.equal(departure.stay(99_000_000, false, false), 'last resort');
    assert.equal(departure.stay(99_000_001, false, true), 'full');
    departure.begin(99_000_002, KNOWN);
    assert.equal(departure.stay(99_010_002, true, false), 'gone');
  });
});
