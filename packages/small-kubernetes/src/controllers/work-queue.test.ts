import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { WorkQueue } from './work-queue.ts';

describe('WorkQueue', () => {
  it('looks at a key once however often it was marked, after the turn that marked it', async () => {
    const seen: string[] = [];
    const queue = new WorkQueue((key) => seen.push(key), silentLogger);
    queue.mark('a');
    queue.mark('b');
    queue.mark('a');
    assert.deepEqual(seen, []);
    await setImmediate();
    assert.deepEqual(seen, ['a', 'b']);
  });

  it('goes on past a key that fails, and looks again when it is marked again', async () => {
    const seen: string[] = [];
    const warnings: string[] = [];
    const log = { ...silentLogger, warn: (_fields: unknown, msg: string) => void warnings.push(msg) };
    const queue = new WorkQueue((key) => {
      seen.push(key);
      if (key === 'bad') throw new Error('no');
    }, log);
    queue.mark('bad');
    queue.mark('good');
    await setImmediate();
    queue.mark('bad');
    await setImmediate();
    assert.deepEqual(seen, ['bad', 'good', 'bad']);
    assert.deepEqual(warnings, ['Cannot reconcile', 'Cannot reconcile']);
  });

  it('lets the event loop turn when a controller never comes to rest, and goes on afterwards', async () => {
    let rounds = 0;
    const queue = new WorkQueue((key) => {
      rounds++;
      queue.mark(key);
    }, silentLogger);
    queue.mark('a');
    await setImmediate();
    const before = rounds;
    await setImmediate();
    await setImmediate();
    assert.ok(rounds > before);
    queue.close();
  });

  it('does nothing once closed', async () => {
    const seen: string[] = [];
    const queue = new WorkQueue((key) => seen.push(key), silentLogger);
    queue.mark('a');
    queue.close();
    await setImmediate();
    assert.deepEqual(seen, []);
  });
});
