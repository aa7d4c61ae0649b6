import assert from 'node:assert/strict';
import { History, latestOf } from './history.ts';
import type { RawObject } from './watch-event.ts';

const object = (key: string, resourceVersion: string): RawObject => ({ key, resourceVersion, object: {} });
const page = (resourceVersion: string, ...items: readonly RawObject[]) => ({ resourceVersion, items, next: '' });

describe('History', () => {
  /** Listed at 10, then `n/a` changed at 20, then a bookmark of 30. */
  function changed(gone = false): History {
    const history = new History();
    history.begin('10', object('n/b', '9'));
    history.event(object('n/a', '20'), gone);
    history.bookmark('30');
    return history;
  }

  for (const [what, expected, seen] of [
    ['that has not moved', 'same', page('30', object('n/a', '20'))],
    ['that went on', 'same', page('90', object('n/a', '20'))],
    ['where the witness has changed since', 'same', page('90', object('n/a', '31'))],
    ['that is behind', 'another', page('29', object('n/a', '20'))],
    ['that has caught up, but has the witness as it was', 'another', page('90', object('n/a', '7'))],
    ['that has caught up, and changed the witness when we saw no change', 'another', page('90', object('n/a', '25'))],
    ['where the witness is not, or not any more', 'unclear', page('90')],
  ] as const) {
    it(`judge() takes a server ${what} for ${expected}`, () => assert.equal(changed().judge(seen), expected));
  }

  for (const [what, expected, seen] of [
    ['is gone', 'same', page('90')],
    ['has been made anew', 'same', page('90', object('n/a', '31'))],
    ['was never deleted', 'another', page('90', object('n/a', '7'))],
  ] as const) {
    it(`judge() takes a server where the witness that we saw deleted ${what} for ${expected}`, () =>
      assert.equal(changed(true).judge(seen), expected));
  }

  it('judge() concludes nothing from revisions that are no numbers', () => {
    const history = new History();
    history.begin('b', object('n/a', 'b'));
    assert.equal(history.judge(page('a', object('n/a', 'a'))), 'same');
  });

  it('names its witness as the API selects it', () => {
    assert.deepEqual(new History().witness, []);
    assert.deepEqual(changed().witness, ['metadata.name=a', 'metadata.namespace=n']);
    const history = new History();
    history.begin('10', object('node', '9'));
    assert.deepEqual(history.witness, ['metadata.name=node']);
  });

  it('latestOf() finds the highest revision as a number, among those that have a name', () => {
    const latest = latestOf([object('a', '9'), undefined, object('b', '10'), object('', '11')]);
    assert.equal(latest?.key, 'b');
    assert.equal(latestOf([]), undefined);
  });
});
