import assert from 'node:assert/strict';
import type { Operation } from './plan.ts';
import { choiceChain, choiceNumber, layoutMark, parseChoiceNumber } from './ruleset.ts';
import { transactionText } from './transaction.ts';

const element = (verb: 'add' | 'delete', key: string, value = '', comment = ''): Operation => ({
  verb,
  kind: 'element',
  family: 'ip',
  element: { set: value === '' ? 'refused' : 'slots-tcp', key, value, comment },
});

describe('transactionText()', () => {
  it('joins neighbours of one set, and keeps the order of all others', () => {
    const text = transactionText('t', [
      element('add', 'a', 'x', '7'),
      element('add', 'b', 'y'),
      element('delete', 'c'),
      element('add', 'c', '', 'ClusterIP'),
    ]);
    assert.deepEqual(text.split('\n'), [
      'add element ip t slots-tcp { a comment "7" : x, b : y }',
      'delete element ip t refused { c }',
      'add element ip t refused { c comment "ClusterIP" }',
      '',
    ]);
  });

  it('is empty for nothing, and never makes an enormous command', () => {
    assert.equal(transactionText('t', []), '');
    const many = Array.from({ length: 1001 }, (_, i) => element('add', `k${i}`));
    assert.equal(transactionText('t', many).trim().split('\n').length, 3);
  });

  it('adds a chain with its rules, and deletes it whole', () => {
    const choice = { protocol: 'TCP', nodePort: false, count: 2, affinitySeconds: 0 } as const;
    const lines = (verb: 'add' | 'delete'): string[] =>
      transactionText('t', [{ verb, kind: 'chain', family: 'ip', choice }])
        .trim()
        .split('\n');
    assert.deepEqual(
      lines('add').map((line) => line.split(' ').slice(0, 5).join(' ')),
      ['add chain ip t tcp-2', 'add rule ip t tcp-2', 'add rule ip t tcp-2', 'add rule ip t tcp-2'],
    );
    assert.deepEqual(lines('delete'), ['delete chain ip t tcp-2']);
  });
});

describe('choices', () => {
  it('have numbers that give count and affinity back, at their limits too', () => {
    for (const count of [1, 2, 32_767]) {
      for (const affinitySeconds of [0, 1, 10_800, 86_400]) {
        const number = choiceNumber({ protocol: 'TCP', nodePort: false, count, affinitySeconds });
        assert.ok(number < 2 ** 32);
        assert.deepEqual(parseChoiceNumber(number), { count, affinitySeconds });
      }
    }
  });

  it('have chains named after all that the rules depend on', () => {
    const choice = { protocol: 'UDP', nodePort: true, count: 3, affinitySeconds: 60 } as const;
    assert.equal(choiceChain(choice), 'nodeport-udp-3-sticky-60');
  });

  it('layoutMark() differs between families', () => {
    assert.notEqual(layoutMark('ip'), layoutMark('ip6'));
  });
});
