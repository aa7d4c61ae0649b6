import assert from 'node:assert/strict';
import { setImmediate as loopTurn } from 'node:timers/promises';
import { inSlices, inTurn, nextTurn, SlicedWork } from './slices.ts';

describe('inTurn()', () => {
  it('runs one in each turn of the event loop, in the order in which they came', async () => {
    const ran: string[] = [];
    for (const name of ['a', 'b', 'c']) inTurn(() => ran.push(name));
    void nextTurn().then(() => ran.push('d'));
    const seen: string[] = [];
    for (let turn = 0; turn < 4; turn++) {
      await loopTurn();
      seen.push(ran.join(''));
    }
    assert.deepEqual(seen, ['a', 'ab', 'abc', 'abcd']);
  });

  it('lets those who ask again wait for the others', async () => {
    const ran: string[] = [];
    const again = (name: string, times: number): void => {
      ran.push(name);
      if (times > 1) inTurn(() => again(name, times - 1));
    };
    inTurn(() => again('a', 3));
    inTurn(() => again('b', 2));
    for (let turn = 0; turn < 6; turn++) await loopTurn();
    assert.equal(ran.join(''), 'ababa');
  });
});

describe('SlicedWork', () => {
  it('takes steps until none is left, and tells after each slice in which one was taken', async () => {
    let left = 5;
    let slices = 0;
    const work = new SlicedWork({ step: () => left-- > 0, sliced: () => slices++, budgetMs: 0 });
    work.request();
    work.request();
    for (let turn = 0; turn < 10; turn++) await loopTurn();
    assert.equal(left, -1);
    assert.equal(slices, 5);
  });

  it('takes no more steps once it is stopped', async () => {
    let steps = 0;
    const work = new SlicedWork({ step: () => steps++ < 100, budgetMs: 0 });
    work.request();
    await loopTurn();
    work.stop();
    for (let turn = 0; turn < 5; turn++) await loopTurn();
    assert.equal(steps, 1);
  });
});

describe('inSlices()', () => {
  it('gives the event loop a turn between two slices, and ends with the signal', async () => {
    const stop = new AbortController();
    const done: number[] = [];
    const work = inSlices([1, 2, 3, 4], (item) => done.push(item), stop.signal, 0);
    await loopTurn();
    assert.ok(done.length > 0 && done.length < 4, `done: ${done}`);
    stop.abort(new Error('enough'));
    await assert.rejects(work, /enough/);
    assert.ok(done.length < 4);
  });
});
