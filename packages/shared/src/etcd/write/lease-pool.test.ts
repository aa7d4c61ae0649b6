import assert from 'node:assert/strict';
import { LeasePool } from './lease-pool.ts';

function numbered(): () => Promise<string> {
  let count = 0;
  return async () => `lease-${++count}`;
}

describe('LeasePool', () => {
  it('LeasePool puts at most so many keys on one lease, also when they come at once', async () => {
    const pool = new LeasePool(numbered(), 3);
    const leases = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((key) => pool.leaseFor(key)));
    assert.deepEqual(leases, ['lease-1', 'lease-1', 'lease-1', 'lease-2', 'lease-2', 'lease-2', 'lease-3']);
  });

  it('LeasePool keeps a key on its lease', async () => {
    const pool = new LeasePool(numbered(), 1);
    const first = await pool.leaseFor('a');
    await pool.leaseFor('b');
    assert.equal(await pool.leaseFor('a'), first);
    assert.equal(pool.ids.length, 2);
  });

  it('LeasePool gives the place of a released key to another', async () => {
    const pool = new LeasePool(numbered(), 1);
    const first = await pool.leaseFor('a');
    pool.release('a');
    assert.equal(await pool.leaseFor('b'), first);
  });

  it('LeasePool gives a released key that comes back another lease, when its place was taken', async () => {
    const pool = new LeasePool(numbered(), 1);
    await pool.leaseFor('a');
    pool.release('a');
    await pool.leaseFor('b');
    assert.equal(await pool.leaseFor('a'), 'lease-2');
  });

  it('LeasePool moves a key to the lease that it was found on', async () => {
    const pool = new LeasePool(numbered(), 2);
    await pool.leaseFor('a');
    await pool.leaseFor('b');
    pool.adopt('a', 'found');
    assert.deepEqual(pool.ids, ['lease-1', 'found']);
    assert.deepEqual(pool.lose('lease-1'), ['b']);
    assert.deepEqual(pool.lose('found'), ['a']);
    assert.deepEqual(pool.ids, []);
  });

  it('LeasePool tells the keys of a lost lease once, and grants another', async () => {
    const pool = new LeasePool(numbered(), 2);
    const lost = await pool.leaseFor('a');
    await pool.leaseFor('b');
    await pool.leaseFor('c');
    assert.deepEqual(pool.lose(lost), ['a', 'b']);
    assert.deepEqual(pool.lose(lost), []);
    assert.deepEqual(pool.ids, ['lease-2']);
    assert.equal(await pool.leaseFor('a'), 'lease-2');
    assert.equal(await pool.leaseFor('b'), 'lease-3');
  });

  it('LeasePool asks again after a grant failed', async () => {
    let fails = true;
    const pool = new LeasePool(async () => {
      if (fails) throw new Error('no etcd');
      return 'lease';
    }, 2);
    await assert.rejects(pool.leaseFor('a'), /no etcd/);
    fails = false;
    assert.equal(await pool.leaseFor('a'), 'lease');
    assert.deepEqual(pool.ids, ['lease']);
  });
});
