import assert from 'node:assert/strict';
import { parseMetrics } from './agent-lab.ts';

describe('parseMetrics()', () => {
  it('reads samples without labels', () => {
    const text = '# HELP lag x 1\n# TYPE lag gauge\nlag 0.5\nheap{space="new"} 7\nbig 1.5e+22\nnone NaN\n';
    assert.deepEqual(
      [...parseMetrics(text)],
      [
        ['lag', 0.5],
        ['big', 1.5e22],
        ['none', Number.NaN],
      ],
    );
  });
});
