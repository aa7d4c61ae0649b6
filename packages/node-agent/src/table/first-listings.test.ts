import assert from 'node:assert/strict';
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import { FakeClock } from '@tombolo/shared/process/clock.fixture.ts';
import { FirstListings } from './first-listings.ts';

const WEST = { name: 'west' as ClusterName };
const NORTH = { name: 'north' as ClusterName };

describe('FirstListings', () => {
  let clock: FakeClock;
  let listings: FirstListings;
  let tooLong: number;

  beforeEach(() => {
    clock = new FakeClock();
    tooLong = 0;
    listings = new FirstListings(() => tooLong++, clock);
  });

  it('are under way from the first word of a cluster until all of it was heard', () => {
    assert.equal(listings.areUnderWay, false);
    listings.told(WEST);
    assert.equal(listings.areUnderWay, true);
    listings.complete(WEST);
    assert.equal(listings.areUnderWay, false);
    listings.told(WEST);
    assert.equal(listings.areUnderWay, false, 'a cluster that was heard completely');
  });

  it('are under way while one of them is, and again when a cluster comes back under another id', () => {
    listings.told(WEST);
    listings.told(NORTH);
    listings.complete(WEST);
    assert.equal(listings.areUnderWay, true);
    listings.removed(NORTH);
    assert.equal(listings.areUnderWay, false);
    listings.removed(WEST);
    listings.told(WEST);
    assert.equal(listings.areUnderWay, true);
  });

  it('let nobody wait for more than 10 s, however they go on, and tell when it is over', async () => {
    listings.told(WEST);
    await clock.advance(5_000);
    listings.told(WEST);
    listings.told(NORTH);
    assert.equal(listings.areUnderWay, true);
    assert.equal(tooLong, 0);
    await clock.advance(5_000);
    assert.equal(listings.areUnderWay, false);
    assert.equal(tooLong, 1);
    listings.told(WEST);
    assert.equal(listings.areUnderWay, false);
  });
});
