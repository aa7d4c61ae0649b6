import assert from 'node:assert/strict';
import { PendingSet } from './pending-set.ts';

describe('PendingSet', () => {
  it('PendingSet resolves when what was pending at the time is done, not what came later', async () => {
    const pending = new PendingSet();
    pending.add('a');
    pending.add('b');
    const done = pending.whenDone();
    pending.add('c');
    pending.done('a');
    assert.equal(await Promise.race([done.then(() => 'done'), Promise.resolve('waits')]), 'waits');
    pending.done('b');
    await done;
    assert.equal(pending.size, 1);
  });

  it('PendingSet resolves at once when nothing is pending, or nothing of what is asked for', async () => {
    const pending = new PendingSet();
    await pending.whenDone();
    pending.add('a');
    await pending.whenDone(['b']);
  });

  it('PendingSet rejects waiters when it closes, and later ones', async () => {
    const pending = new PendingSet();
    pending.add('a');
    const done = pending.whenDone();
    pending.close(new Error('closed'));
    await assert.rejects(done, /closed/);
    await assert.rejects(pending.whenDone(), /closed/);
  });
});
