import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { FakeClock } from './clock.fixture.ts';
import { every, sleep } from './clock.ts';
import { childOf, Notifier } from './notifier.ts';
import { AGAIN, reasonOf, retry } from './retry.ts';
import { SlicedWork } from './slices.ts';

const never = new AbortController().signal;

describe('sleep() and every()', () => {
  it('sleep() ends after its time, or with the signal', async () => {
    const clock = new FakeClock();
    const seen: string[] = [];
    const stop = new AbortController();
    void sleep(clock, 100, never).then(() => seen.push('slept'));
    void sleep(clock, 100, stop.signal).then(() => seen.push('stopped'));
    stop.abort();
    await clock.advance(99);
    assert.deepEqual(seen, ['stopped']);
    await clock.advance(1);
    assert.deepEqual(seen, ['stopped', 'slept']);
    assert.equal(clock.waiting, 0);
  });

  it('every() goes on until it is cancelled', async () => {
    const clock = new FakeClock();
    let runs = 0;
    const cancel = every(clock, 10, () => runs++);
    await clock.advance(35);
    cancel();
    await clock.advance(100);
    assert.deepEqual([runs, clock.waiting], [3, 0]);
  });
});

describe('Notifier', () => {
  it('misses nothing that came between looking and waiting', async () => {
    const notifier = new Notifier();
    const seen = notifier.version;
    notifier.notify();
    await notifier.changed(seen, never);
    assert.equal(notifier.version, seen + 1);
  });

  it('wakes all who wait, once for many changes', async () => {
    const notifier = new Notifier();
    const waiting = [0, 1].map(() => notifier.changed(0, never));
    notifier.notify();
    notifier.notify();
    await Promise.all(waiting);
    assert.equal(notifier.version, 2);
  });

  it('until() asks at once and after each change, and gives up when the signal aborts', async () => {
    const notifier = new Notifier();
    await notifier.until(() => true, never);
    const stop = new AbortController();
    const ended: string[] = [];
    let count = 0;
    void notifier.until(() => count === 2, never).then(() => ended.push('holds'));
    void notifier.until(() => false, stop.signal).then(() => ended.push('aborted'));
    for (count of [1, 2]) {
      assert.deepEqual(ended, []);
      notifier.notify();
      await nextTurn();
    }
    assert.deepEqual(ended, ['holds']);
    stop.abort();
    await nextTurn();
    assert.deepEqual(ended, ['holds', 'aborted']);
  });

  it('gives up when the signal aborts or the time is over', async () => {
    const notifier = new Notifier();
    const clock = new FakeClock();
    const stop = new AbortController();
    const waiting = notifier.changed(0, stop.signal);
    stop.abort();
    await waiting;
    const timed = notifier.changedWithin(0, 10, clock, never);
    await clock.advance(10);
    await timed;
    assert.equal(clock.waiting, 0);
  });
});

describe('childOf()', () => {
  it('aborts with its parent, and not the other way round', () => {
    const parent = new AbortController();
    const [a, b] = [childOf(parent.signal), childOf(parent.signal)];
    a.abort();
    assert.deepEqual([parent.signal.aborted, b.signal.aborted], [false, false]);
    parent.abort();
    assert.equal(b.signal.aborted, true);
    assert.equal(childOf(parent.signal).signal.aborted, true);
    const [first, second] = [new AbortController(), new AbortController()];
    const child = childOf(first.signal, second.signal);
    second.abort('why');
    assert.equal(child.signal.reason, 'why');
  });
});

describe('retry()', () => {
  const run = async (results: readonly unknown[], options: { heldMs?: number; takes?: number } = {}) => {
    const clock = new FakeClock();
    const delays: number[] = [];
    const left = [...results];
    const answer = retry(
      async () => {
        if (options.takes !== undefined) await sleep(clock, options.takes, never);
        const next = left.shift();
        if (next instanceof Error) throw next;
        return next as string | typeof AGAIN;
      },
      {
        signal: never,
        first: 10,
        limit: 40,
        clock,
        random: () => 0.5,
        failed: (_, delay) => delays.push(delay),
        ...(options.heldMs !== undefined && { heldMs: options.heldMs }),
        atLeast: (error) => (reasonOf(error) === 'later' ? 1000 : 0),
      },
    );
    await clock.advance(100_000);
    return { answer: await answer, delays };
  };

  it('answers with the first success, and waits longer each time before', async () => {
    const no = new Error('no');
    assert.deepEqual(await run([no, AGAIN, no, no, 'yes']), { answer: 'yes', delays: [10, 20, 40, 40] });
  });

  it('begins anew with the first delay after an attempt that held', async () => {
    const no = new Error('no');
    assert.deepEqual((await run([no, no, no, 'yes'], { heldMs: 5, takes: 5 })).delays, [10, 10, 10]);
    assert.deepEqual((await run([no, no, no, 'yes'], { heldMs: 6, takes: 5 })).delays, [10, 20, 40]);
  });

  it('waits for as long as the error asks for', async () => {
    assert.deepEqual((await run([new Error('later'), 'yes'])).delays, [1000]);
  });

  it('ends with its signal, also while it waits', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const answer = retry(() => Promise.reject(new Error('no')), { signal: stop.signal, first: 10, limit: 10, clock });
    await clock.advance(1);
    stop.abort();
    assert.equal(await answer, undefined);
    assert.equal(clock.waiting, 0);
  });
});

describe('SlicedWork', () => {
  it('lets others run between its slices, and tells after each', async () => {
    const seen: string[] = [];
    let left = 3;
    const work = new SlicedWork({
      step: () => left-- > 0,
      sliced: () => seen.push(`slice, ${left} left`),
      budgetMs: 0,
    });
    work.request();
    work.request();
    for (let turn = 0; turn < 5; turn++) {
      await nextTurn();
      seen.push('turn');
    }
    assert.deepEqual(
      seen.filter((each) => each !== 'turn'),
      ['slice, 2 left', 'slice, 1 left', 'slice, 0 left'],
    );
    assert.ok(seen.indexOf('turn') < seen.indexOf('slice, 0 left'));
  });

  it('does nothing more once stopped', async () => {
    let steps = 0;
    const work = new SlicedWork({ step: () => steps++ < 5 });
    work.request();
    work.stop();
    await nextTurn();
    assert.equal(steps, 0);
  });
});
