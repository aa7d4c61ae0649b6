import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { Breaker } from './breaker.ts';
import { EtcdError } from './errors.ts';

const silence = () => Promise.reject(new EtcdError('unavailable', 'no answer'));
const refusal = () => Promise.reject(new EtcdError('too-large', 'too large'));

describe('Breaker', () => {
  let breaker: Breaker;

  beforeEach(() => {
    breaker = new Breaker(60_000);
  });

  afterEach(() => breaker.close());

  it('Breaker hands values and refusals through, however many', async () => {
    assert.equal(await breaker.run(async () => 7), 7);
    for (let i = 0; i < 20; i++) await assert.rejects(breaker.run(refusal), /too large/);
    assert.equal(await breaker.run(async () => 8), 8);
  });

  it('Breaker answers for a silent etcd after a few calls, with the reason of the last', async () => {
    let calls = 0;
    const counted = () => {
      calls++;
      return silence();
    };
    for (let i = 0; i < 20; i++) {
      await assert.rejects(
        breaker.run(counted),
        (error) => error instanceof EtcdError && error.kind === 'unavailable' && error.message === 'no answer',
      );
    }
    assert.equal(calls, 3);
  });

  it('Breaker lets one call through after the time, and all when it succeeds', async () => {
    const quick = new Breaker(1);
    for (let i = 0; i < 5; i++) await assert.rejects(quick.run(silence));
    let value: number | undefined;
    while (value === undefined) {
      value = await quick.run(async () => 7).catch(() => undefined);
      await turn();
    }
    assert.deepEqual(await Promise.all([1, 2, 3].map((n) => quick.run(async () => n))), [1, 2, 3]);
    quick.close();
  });

  it('Breaker stands aside when it was closed', async () => {
    breaker.close();
    await assert.rejects(
      breaker.run(() => Promise.reject(new EtcdError('closed', 'closed'))),
      (error) => error instanceof EtcdError && error.kind === 'closed',
    );
  });
});
