import assert from 'node:assert/strict';
import { FairWork, type WorkSource } from './fair-work.ts';
import { settle } from './mesh.fixture.ts';

describe('FairWork', () => {
  function source(name: string, pieces: number, told: string[]): WorkSource {
    let left = pieces;
    return {
      step: () => {
        if (left === 0) return false;
        left--;
        told.push(name);
        return true;
      },
      sliced: () => void told.push(`${name} sliced`),
    };
  }

  it('takes turns, and says when a slice is over', async () => {
    const work = new FairWork({ budgetMs: Number.POSITIVE_INFINITY });
    const told: string[] = [];
    work.request(source('a', 3, told));
    work.request(source('b', 1, told));
    assert.equal(told.length, 0, 'not in the turn in which it was asked for');
    await settle();
    assert.deepEqual(
      told.filter((line) => !line.includes('sliced')),
      ['a', 'b', 'a', 'a'],
    );
    assert.ok(told.at(-1)?.includes('sliced'));
  });

  it('leaves what was withdrawn, and stops', async () => {
    const work = new FairWork({ budgetMs: Number.POSITIVE_INFINITY });
    const told: string[] = [];
    const [a, b] = [source('a', 1, told), source('b', 1, told)];
    work.request(a);
    work.request(b);
    work.withdraw(a);
    await settle();
    assert.deepEqual(told, ['b', 'b sliced']);
    work.request(a);
    work.stop();
    await settle();
    assert.equal(told.length, 2);
  });
});
