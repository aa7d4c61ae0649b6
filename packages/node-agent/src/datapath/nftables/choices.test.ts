import assert from 'node:assert/strict';
import { choiceChain, choiceNumber, isChoiceChain, parseChoiceNumber } from './choices.ts';
import { layoutMark } from './ruleset.ts';

describe('choices', () => {
  it('have numbers that give count and affinity back, at their limits too', () => {
    for (const count of [1, 2, 32_767]) {
      for (const affinitySeconds of [0, 1, 10_800, 86_400]) {
        const number = choiceNumber({ clients: 'all', protocol: 'TCP', nodePort: false, count, affinitySeconds });
        assert.ok(number < 2 ** 32);
        assert.deepEqual(parseChoiceNumber(number), { count, affinitySeconds });
      }
    }
  });

  it('have chains named after all that the rules depend on', () => {
    const choice = { clients: 'all', protocol: 'UDP', nodePort: true, count: 3, affinitySeconds: 60 } as const;
    assert.equal(choiceChain(choice), 'nodeport-udp-3-sticky-60');
    assert.ok(isChoiceChain(choiceChain(choice)));
    for (const other of ['nat-output', 'tcp-0', 'tcp-03', 'sticky-tcp-3', 'tcp-3-', 'tcp-3-sticky-0'])
      assert.ok(!isChoiceChain(other), other);
  });

  it('layoutMark() differs between families, and between what kernels have', () => {
    const marks = [true, false].flatMap((timeouts) => [
      layoutMark('ip', { timeouts }),
      layoutMark('ip6', { timeouts }),
    ]);
    assert.equal(new Set(marks).size, 4);
  });
});
