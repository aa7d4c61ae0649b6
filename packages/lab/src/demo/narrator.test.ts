import assert from 'node:assert/strict';
import { Narrator } from './narrator.ts';

describe('Narrator', () => {
  function told(
    strict: boolean,
    tell: (narrator: Narrator) => void,
  ): { readonly text: string; readonly failed: number } {
    let text = '';
    const narrator = new Narrator(strict, (more) => {
      text += more;
    });
    tell(narrator);
    return { text, failed: narrator.failed };
  }

  it('numbers chapters and shows commands with what came back', () => {
    const { text } = told(false, (narrator) => {
      narrator.chapter('One');
      narrator.command('true');
      narrator.chapter('Two');
      narrator.command('ls', 'a\nb\n\n');
    });
    assert.match(text, /1 {2}One/);
    assert.match(text, /2 {2}Two/);
    assert.match(text, /\$ ls\n {5}a\n {5}b\n$/);
  });

  it('counts what does not hold, and says what was seen', () => {
    const { text, failed } = told(false, (narrator) => {
      narrator.check('water is wet', true, '');
      narrator.check('pigs fly', false, { altitude: 0 });
    });
    assert.equal(failed, 1);
    assert.match(text, /✓ water is wet\n {3}✗ pigs fly: seen was {"altitude":0}\n/);
  });

  it('ends at the first when strict', () => {
    assert.throws(
      () => told(true, (narrator) => narrator.check('pigs fly', false, 'none')),
      /Cannot show that pigs fly: current value is "none"/,
    );
  });
});
