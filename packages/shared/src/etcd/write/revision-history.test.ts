import assert from 'node:assert/strict';
import { RevisionHistory } from './revision-history.ts';

describe('RevisionHistory', () => {
  it('trusts answers that come in another order than the calls were made', () => {
    const history = new RevisionHistory();
    const [first, second] = [history.mark(), history.mark()];
    assert.equal(history.wentBack(second, '8', 1n), false);
    assert.equal(history.wentBack(first, '7', 1n), false);
    assert.equal(history.wentBack(history.mark(), '8'), false);
    assert.equal(history.wentBack(history.mark(), '7'), true, 'the later of them counts');
  });

  it('sees a read below an earlier answer, and a write that did not go beyond it', () => {
    for (const [revision, grew] of [
      ['7', 0n],
      ['8', 1n],
    ] as const) {
      const history = new RevisionHistory();
      history.wentBack(history.mark(), '8', 1n);
      assert.equal(history.wentBack(history.mark(), revision, grew), true);
      assert.equal(history.wentBack(history.mark(), '9', 1n), false);
    }
  });

  it('says so once, however many calls were under way', () => {
    const history = new RevisionHistory();
    history.wentBack(history.mark(), '1000', 1n);
    const marks = [history.mark(), history.mark(), history.mark()];
    assert.deepEqual(
      marks.map((mark, index) => history.wentBack(mark, `${500 + index}`, 1n)),
      [true, false, false],
    );
    assert.equal(history.wentBack(history.mark(), '503', 1n), false);
  });

  it('forgets answers of the history before', () => {
    const history = new RevisionHistory();
    history.wentBack(history.mark(), '1000', 1n);
    const before = history.mark();
    history.wentBack(history.mark(), '500', 1n);
    assert.equal(history.wentBack(before, '1001', 1n), false);
    assert.equal(history.wentBack(history.mark(), '501', 1n), false);
  });
});
