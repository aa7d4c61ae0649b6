import assert from 'node:assert/strict';
import { tableOf, withTable } from './faults.ts';

describe('tableOf()', () => {
  it('has a row for each fault and way: the longest time, all requests', () => {
    const requests = { sent: 1_000, failed: 1 };
    const table = tableOf([
      { fault: 'something else', way: 'BGP' },
      { fault: 'agent is killed', way: 'ARP', tookMs: 510, requests },
      { fault: 'agent is killed', way: 'ARP', tookMs: 640, requests },
      { fault: 'agent is killed', way: 'NDP', tookMs: 400 },
    ]);
    assert.deepEqual(table.split('\n').slice(2), [
      '| agent is killed | ARP | 1 s | 0.64 s | under way | 2 of 2,000 | 2 |',
      '| agent is killed | NDP | 1 s | 0.40 s | under way |  | 1 |',
      '| something else | BGP |  |  |  |  | 1 |',
    ]);
  });
});

describe('withTable()', () => {
  const marks = ['<!-- made by scripts/faults -->', '<!-- until here -->'];

  it('puts it between the marks, in place of the last one', () => {
    assert.equal(withTable(`a\n${marks[0]}\nold\n${marks[1]}\nb`, 'new'), `a\n${marks[0]}\nnew\n${marks[1]}\nb`);
  });

  it('says what is missing', () => {
    assert.throws(() => withTable('a', 'new'), /expected '<!-- made by scripts\/faults -->'/);
  });
});
