import assert from 'node:assert/strict';
import { rowOf } from './local.ts';

describe('rowOf()', () => {
  const measured = (peak: number) => ({ peak, cpu: 1, time: 1 });
  const run = (agent: number, kubeProxy: number) => ({
    agent: { fresh: measured(agent), restarted: measured(2 * agent) },
    'kube-proxy': { fresh: measured(kubeProxy), restarted: measured(kubeProxy) },
  });

  it('compares the agent with the kube-proxy of the same run that was started in the same way', () => {
    const runs = [run(100, 100), run(200, 100), run(400, 200)];
    assert.deepEqual(rowOf(runs, 'peak', 'fresh'), { case: 'peak', value: 200, unit: 'MB', baseline: 100, ratio: 0.5 });
    assert.equal(rowOf(runs, 'peak', 'restarted').ratio, 0.25);
  });
});
