import assert from 'node:assert/strict';
import { FakeClock } from '@tombolo/shared/process/clock.fixture.ts';
import { SourceTrust } from './source-trust.ts';

describe('SourceTrust', () => {
  let clock: FakeClock;
  let trust: SourceTrust;
  beforeEach(() => {
    clock = new FakeClock();
    trust = new SourceTrust(clock);
  });

  const complete = () => {
    trust.report('nodes', { kind: 'ok' });
    trust.complete('nodes');
  };

  it('has a source that was heard completely and works', async () => {
    trust.report('nodes', { kind: 'ok' });
    assert.equal(trust.has(['nodes']), false);
    trust.complete('nodes');
    assert.equal(trust.has(['nodes']), true);
    assert.equal(trust.has(['nodes', 'identities']), false);
    trust.complete('identities');
    assert.equal(trust.has(['nodes', 'identities']), true);
    trust.report('nodes', { kind: 'degraded', reason: 'gone' });
    assert.equal(trust.has(['nodes']), false);
  });

  it('does not have one whose API server left a question unanswered, until it works anew or would have noticed', async () => {
    complete();
    await clock.advance(1_000);
    trust.unanswered();
    assert.equal(trust.has(['nodes']), false);
    await clock.advance(30_000);
    assert.equal(trust.has(['nodes']), false);
    await clock.advance(1);
    assert.equal(trust.has(['nodes']), true);
    trust.unanswered();
    await clock.advance(1);
    trust.report('nodes', { kind: 'ok' });
    assert.equal(trust.has(['nodes']), true);
  });

  it('in() waits for it, or for the end', async () => {
    const stop = new AbortController();
    const done: string[] = [];
    void trust.in(['nodes'], stop.signal).then(() => done.push('trusted'));
    void trust.in(['pods'], stop.signal).then(() => done.push('ended'));
    complete();
    await clock.advance(0);
    assert.deepEqual(done, ['trusted']);
    stop.abort();
    await clock.advance(0);
    assert.deepEqual(done, ['trusted', 'ended']);
  });
});
