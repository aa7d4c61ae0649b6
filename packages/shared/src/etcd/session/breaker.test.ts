import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Breaker } from './breaker.ts';
import { EtcdError } from './errors.ts';

const silence = () => Promise.reject(new EtcdError('unavailable', 'no answer'));
const refusal = () => Promise.reject(new EtcdError('too-large', 'too large'));
const NEVER = new AbortController().signal;

describe('Breaker', () => {
  const opened: Breaker[] = [];
  const breaker = (first: number, limit = first) => {
    const made = new Breaker({ first, limit, random: () => 0.5 });
    opened.push(made);
    return made;
  };

  afterEach(() => {
    mock.timers.reset();
    for (const each of opened.splice(0)) each.close();
  });

  it('Breaker hands values and refusals through, however many', async () => {
    const guard = breaker(60_000);
    assert.equal(await guard.run(async () => 7), 7);
    for (let i = 0; i < 20; i++) await assert.rejects(guard.run(refusal), /too large/);
    assert.equal(await guard.run(async () => 8), 8);
  });

  it('Breaker answers for a silent etcd after one call, with its reason', async () => {
    const guard = breaker(60_000);
    let calls = 0;
    for (let i = 0; i < 20; i++) {
      await assert.rejects(
        guard.run(() => {
          calls++;
          return silence();
        }),
        (error) => error instanceof EtcdError && error.kind === 'unavailable' && error.message === 'no answer',
      );
    }
    assert.equal(calls, 1);
  });

  it('Breaker lets one call through after the time, and all when it succeeds', async () => {
    const guard = breaker(1);
    await assert.rejects(guard.run(silence));
    await guard.ready(NEVER);
    const trial = Promise.withResolvers<number>();
    const first = guard.run(() => trial.promise);
    await assert.rejects(
      guard.run(async () => 8),
      /no answer/,
    );
    trial.resolve(7);
    assert.equal(await first, 7);
    assert.deepEqual(await Promise.all([1, 2, 3].map((n) => guard.run(async () => n))), [1, 2, 3]);
  });

  it('Breaker doubles the time with each trial that sees nothing, up to a limit; anew when etcd was heard', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const guard = breaker(100, 400);
    let calls = 0;
    const call = () =>
      guard
        .run(() => {
          calls++;
          return silence();
        })
        .catch(() => {});
    await call();
    for (const wait of [100, 200, 400, 400]) {
      const before = calls;
      mock.timers.tick(wait - 1);
      await call();
      assert.equal(calls, before, `before ${wait} ms`);
      mock.timers.tick(1);
      await call();
      assert.equal(calls, before + 1, `after ${wait} ms`);
    }
    guard.heard();
    await call();
    const before = calls;
    mock.timers.tick(100);
    await call();
    assert.equal(calls, before + 1);
  });

  it('ready() resolves at once when etcd was heard by another way', async () => {
    const guard = breaker(60_000);
    await assert.rejects(guard.run(silence));
    const ready = guard.ready(NEVER);
    guard.heard();
    await ready;
    assert.equal(await guard.run(async () => 7), 7);
  });

  it('ready() resolves when its signal aborts, and when the breaker is closed', async () => {
    const guard = breaker(60_000);
    await assert.rejects(guard.run(silence));
    const giveUp = new AbortController();
    const waiting = [guard.ready(giveUp.signal), guard.ready(NEVER)];
    giveUp.abort();
    await waiting[0];
    guard.close();
    await waiting[1];
  });

  it('ready() does not resolve before the time', async () => {
    const guard = breaker(60_000);
    await assert.rejects(guard.run(silence));
    let ready = false;
    void guard.ready(NEVER).then(() => {
      ready = true;
    });
    await nextTurn();
    assert.equal(ready, false);
  });

  it('Breaker stands aside when it was closed', async () => {
    const guard = breaker(60_000);
    guard.close();
    await assert.rejects(
      guard.run(() => Promise.reject(new EtcdError('closed', 'closed'))),
      (error) => error instanceof EtcdError && error.kind === 'closed',
    );
  });
});
