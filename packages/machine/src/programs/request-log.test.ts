import assert from 'node:assert/strict';
import { byCluster, formatCounts, RequestLog, since } from './request-log.ts';

describe('RequestLog', () => {
  function sample(): RequestLog {
    const log = new RequestLog();
    for (const signature of ['west/west-1/b', 'east/east-1/a', 'west/west-2/c']) {
      log.send();
      log.answered(signature, 2.4);
    }
    log.send();
    log.failed('timeout');
    return log;
  }

  it('counts who answered and what failed', () => {
    assert.deepEqual(sample().counts(), {
      sent: 4,
      answered: 3,
      failed: 1,
      by: { 'east/east-1/a': 1, 'west/west-1/b': 1, 'west/west-2/c': 1 },
      errors: { timeout: 1 },
      slowestMs: 2,
    });
  });

  it('byCluster() sums over the pods of a cluster', () => {
    assert.deepEqual(byCluster(sample().counts()), { east: 1, west: 2 });
  });

  it('since() tells only what happened in between', () => {
    const log = sample();
    const earlier = log.counts();
    log.send();
    log.answered('east/east-1/a', 1);
    const { sent, failed, by, errors } = since(earlier, log.counts());
    assert.deepEqual({ sent, failed, by, errors }, { sent: 1, failed: 0, by: { 'east/east-1/a': 1 }, errors: {} });
  });

  it('formatCounts() prints failures beside the answers', () => {
    assert.match(
      formatCounts(sample().counts()),
      /^4 requests: 3 answered, 1 failed.*\n {6}1 east\/east-1\/a\n[\s\S]*error: timeout$/,
    );
  });
});
