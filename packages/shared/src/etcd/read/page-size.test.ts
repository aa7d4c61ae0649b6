import assert from 'node:assert/strict';
import { nextLimit, smallerLimit } from './page-size.ts';

describe('nextLimit()', () => {
  const MIB = 1024 * 1024;
  const cases = [
    { title: 'comes to the bytes that are aimed at', keys: 256, bytes: 256 * 4_096, aim: MIB, next: 256 },
    { title: 'shrinks at once', keys: 64, bytes: 64 * MIB, aim: MIB, next: 1 },
    { title: 'is never less than one key', keys: 1, bytes: 5 * MIB, aim: MIB, next: 1 },
    { title: 'grows step by step, since what comes next may be larger', keys: 64, bytes: 640, aim: MIB, next: 256 },
    { title: 'is bounded, however small the keys', keys: 1_000, bytes: 10_000, aim: MIB, next: 1_000 },
    { title: 'bears keys without bytes', keys: 64, bytes: 0, aim: MIB, next: 256 },
  ];
  for (const { title, keys, bytes, aim, next } of cases) {
    it(`nextLimit() ${title}`, () => {
      assert.equal(nextLimit(keys, bytes, aim), next);
    });
  }
});

describe('smallerLimit()', () => {
  it('smallerLimit() halves down to one key, and ends there', () => {
    assert.equal(smallerLimit(7), 3);
    assert.equal(smallerLimit(2), 1);
    assert.equal(smallerLimit(1), undefined);
  });
});
