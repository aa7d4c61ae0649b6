import assert from 'node:assert/strict';
import type { KeyValue } from '../session/connection.ts';
import { isListingCheaper, isNewer, isSameEntry } from './resume.ts';

describe('isListingCheaper()', () => {
  const cases = [
    { behind: 0n, keys: 20_000, cheaper: false },
    { behind: 1_000n, keys: 0, cheaper: false },
    { behind: 1_001n, keys: 0, cheaper: true },
    { behind: 3_000n, keys: 20_000, cheaper: false },
    { behind: 10_000n, keys: 20_000, cheaper: true },
  ];
  for (const { behind, keys, cheaper } of cases) {
    it(`isListingCheaper() is ${cheaper} for ${behind} revisions behind with ${keys} keys`, () => {
      assert.equal(isListingCheaper(behind, keys), cheaper);
    });
  }
});

describe('isSameEntry()', () => {
  const known: KeyValue = {
    key: Buffer.from('a'),
    value: Buffer.from('1'),
    create_revision: '2',
    mod_revision: '3',
    lease: '77',
  };

  it('isSameEntry() recognises the same write', () => {
    assert.ok(isSameEntry({ ...known, value: Buffer.from('1') }, known));
  });

  it('isSameEntry() is false for nothing', () => {
    assert.ok(!isSameEntry(undefined, known));
  });

  const others: Partial<KeyValue>[] = [
    { key: Buffer.from('b') },
    { value: Buffer.from('2') },
    { create_revision: '3' },
    { mod_revision: '4' },
    { lease: '78' },
  ];
  for (const other of others) {
    it(`isSameEntry() is false for another ${Object.keys(other)}`, () => {
      assert.ok(!isSameEntry({ ...known, ...other }, known));
    });
  }
});

describe('isNewer()', () => {
  const cases: readonly (readonly [a: string, b: string, newer: boolean])[] = [
    ['12', '11', true],
    ['11', '12', false],
    ['11', '11', false],
    ['10', '9', true],
    ['9', '10', false],
  ];
  for (const [a, b, newer] of cases) {
    it(`isNewer() is ${newer} for revision ${a} and revision ${b}`, () => {
      const entry = { key: Buffer.from('a'), value: Buffer.from('1'), create_revision: '2', lease: '0' };
      assert.equal(isNewer({ ...entry, mod_revision: a }, { ...entry, mod_revision: b }), newer);
    });
  }
});
