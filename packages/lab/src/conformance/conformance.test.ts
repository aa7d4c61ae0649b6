import assert from 'node:assert/strict';
import { surprises } from './known-failures.ts';
import { readReport, type SpecResult } from './results.ts';
import { FOCUS, QUICK, quickFocus, SKIP } from './specs.ts';
import { formatTable, outcomesOf, parseTable } from './table.ts';

const spec = (text: string, state: string, more: object = {}) => ({
  LeafNodeType: 'It',
  ContainerHierarchyTexts: ['[sig-network] Services'],
  LeafNodeText: text,
  State: state,
  NumAttempts: 1,
  RunTime: 2e9,
  ...more,
});
const report = (...specs: readonly object[]): string => JSON.stringify([{ SpecReports: specs }]);
const result = (name: string, outcome: SpecResult['outcome']): SpecResult => ({
  name,
  outcome,
  seconds: 1,
  reason: 'r',
});

describe('readReport()', () => {
  it('takes the specs that were run, without their labels', () => {
    const json = report(
      spec('should work [Conformance] [LinuxOnly]', 'passed'),
      spec('should fail [FeatureGate:X]', 'failed', { Failure: { Message: 'why\nand more' } }),
      spec('was not chosen', 'skipped', { NumAttempts: 0 }),
      spec('needs more nodes', 'skipped', { Failure: { Message: 'too few' } }),
    );
    assert.deepEqual(readReport(json), [
      { name: 'Services needs more nodes', outcome: 'skipped', seconds: 2, reason: 'too few' },
      { name: 'Services should fail', outcome: 'failed', seconds: 2, reason: 'why' },
      { name: 'Services should work', outcome: 'passed', seconds: 2, reason: '' },
    ]);
  });

  it('counts a panic, a timeout and an interruption as failures', () => {
    const json = report(...['panicked', 'timedout', 'interrupted', 'aborted'].map((state) => spec(state, state)));
    assert.ok(readReport(json).every(({ outcome }) => outcome === 'failed'));
  });

  it('refuses a report of a run that could not begin', () => {
    const broken = {
      ...spec('', 'failed', { Failure: { Message: 'no cluster' } }),
      LeafNodeType: 'SynchronizedBeforeSuite',
    };
    assert.throws(() => readReport(report(broken)), /SynchronizedBeforeSuite failed: no cluster/);
  });
});

describe('surprises()', () => {
  const known = [{ spec: 'a', settings: ['ebpf'], cause: 'c' }];

  it('is what fails and is not listed, and what passes and is', () => {
    assert.deepEqual(surprises('ebpf', [result('a', 'failed'), result('b', 'passed')], known), []);
    assert.deepEqual(surprises('ebpf', [result('a', 'passed'), result('b', 'failed')], known), [
      'passed, though it is listed as failing: a',
      'failed: b: r',
    ]);
    assert.deepEqual(surprises('baseline', [result('a', 'failed')], known), ['failed: a: r']);
  });
});

describe('the table', () => {
  it('is read as it was written, and keeps columns that a run did not bring', () => {
    const outcomes = {
      baseline: outcomesOf([result('a', 'passed'), result('b', 'skipped')]),
      beside: outcomesOf([result('a', 'failed')]),
    };
    const text = formatTable(outcomes, 'v1', [{ spec: 'a', settings: ['beside'], cause: 'because' }]);
    assert.deepEqual(parseTable(text), outcomes);
    assert.match(text, /\| a \| kube-proxy and Tombolo \| because \|/);
    assert.deepEqual(parseTable(''), {});
  });

  it('is read by the titles of its columns, which may be those of another version', () => {
    const text =
      '## Each spec\n\n| spec | gone | kube-proxy and Tombolo |\n| --- | --- | --- |\n| a | yes | **no** |\n';
    assert.deepEqual(parseTable(text), { beside: { a: 'failed' } });
  });
});

describe('the quick specs', () => {
  it('are found by their names, and are among all', () => {
    for (const name of QUICK) {
      const full = `[sig-network] ${name}`;
      assert.match(full, new RegExp(quickFocus()));
      assert.match(full, new RegExp(FOCUS));
      assert.doesNotMatch(full, new RegExp(SKIP));
    }
  });
});
