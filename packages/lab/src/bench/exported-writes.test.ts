import assert from 'node:assert/strict';
import { writesRow } from './exported-writes.ts';

describe('writesRow()', () => {
  it('is nothing when nothing was measured, and else against one write a second', () => {
    assert.deepEqual(writesRow([]), []);
    assert.deepEqual(writesRow([{ perSecond: 20, note: '' }]), [
      { case: 'writes', value: 20, unit: 'writes/s', baseline: 1, ratio: 0.05 },
    ]);
  });
});
