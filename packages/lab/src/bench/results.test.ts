import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type BenchReport, chosen, formatJson, formatTable, summarise, worst } from './results.ts';
import { median, percentile } from './statistics.ts';

describe('median() and percentile()', () => {
  it('take the middle of odd and even counts', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
  });

  it('percentile answers the nearest rank', () => {
    const values = [15, 20, 35, 40, 50];
    assert.deepEqual(
      [5, 30, 40, 50, 100].map((p) => percentile(values, p)),
      [15, 20, 20, 35, 50],
    );
  });

  it('percentile has at least its share of the values at or below it', () => {
    const values = fc.array(fc.integer(), { minLength: 1 });
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 100 }), (all, p) => {
        const answer = percentile(all, p);
        assert.ok(all.includes(answer));
        assert.ok(all.filter((v) => v <= answer).length >= (p / 100) * all.length);
        assert.ok(all.filter((v) => v < answer).length < (p / 100) * all.length);
      }),
    );
  });

  it('refuse to answer for nothing', () => {
    assert.throws(() => median([]), /Cannot compute median: expected at least one value/);
    assert.throws(() => percentile([1], 0), /current value is 0/);
  });
});

describe('summarise()', () => {
  it('takes the median of the ratios of the pairs, not the ratio of the medians', () => {
    const pairs = [
      { value: 100, baseline: 100 },
      { value: 50, baseline: 100 },
      { value: 10, baseline: 10 },
    ];
    assert.deepEqual(summarise('x/1', 'conn/s', 'higher', pairs), {
      case: 'x/1',
      value: 50,
      unit: 'conn/s',
      baseline: 100,
      ratio: 1,
    });
  });

  it('puts the baseline on top for times', () => {
    assert.equal(summarise('p50', 'ms', 'lower', [{ value: 10, baseline: 2 }]).ratio, 0.2);
  });
});

describe('worst()', () => {
  it('takes the whole row with the lowest ratio, and the first of equal ones', () => {
    const row = (value: number, baseline: number) => summarise('peak', 'MB', 'lower', [{ value, baseline }]);
    assert.deepEqual(worst([row(200, 100), row(300, 100), row(100, 100)]), row(300, 100));
    assert.deepEqual(worst([row(20, 10), row(200, 100)]), row(20, 10));
  });
});

describe('chosen()', () => {
  it('takes all when none is asked for, and keeps their order', () => {
    assert.deepEqual([...chosen([], ['a', 'b', 'c'])], ['a', 'b', 'c']);
    assert.deepEqual([...chosen(['c', 'a'], ['a', 'b', 'c'])], ['a', 'c']);
  });

  it('refuses a case that there is not', () => {
    assert.throws(() => chosen(['d'], ['a', 'b']), /Cannot measure case "d": expected a, b/);
  });
});

describe('formatJson() and formatTable()', () => {
  const report: BenchReport = {
    bench: 'connect',
    results: [{ case: 'ebpf/50000', value: 10107, unit: 'conn/s', baseline: 9701, ratio: 1.04 }],
    skipped: [{ case: 'iptables/1', reason: 'no iptables' }],
    notes: ['measured on loopback'],
  };

  it('print exactly one object with bench and results', () => {
    assert.equal(
      formatJson(report),
      '{"bench":"connect","results":[{"case":"ebpf/50000","value":10107,"unit":"conn/s","baseline":9701,"ratio":1.04}]}',
    );
  });

  it('print a table, what was left out, and the notes', () => {
    assert.deepEqual(formatTable(report).split('\n'), [
      'case        value  unit    baseline  ratio',
      'ebpf/50000  10107  conn/s      9701   1.04',
      'iptables/1: not measured: no iptables',
      '- measured on loopback',
    ]);
  });
});
