import assert from 'node:assert/strict';
import fc from 'fast-check';
import { keyAfter, prefixRange } from './key-range.ts';

describe('prefixRange()', () => {
  const cases = [
    { prefix: 'a/', key: 'a/', end: 'a0' },
    { prefix: 'a', key: 'a', end: 'b' },
    { prefix: 'config/east', key: 'config/east', end: 'config/easu' },
    { prefix: '', key: '\0', end: '\0' },
  ];
  for (const { prefix, key, end } of cases) {
    it(`prefixRange() of ${JSON.stringify(prefix)} ends at ${JSON.stringify(end)}`, () => {
      assert.deepEqual(prefixRange(prefix), { key: Buffer.from(key), end: Buffer.from(end) });
    });
  }

  it('prefixRange() contains exactly the keys that start with the prefix', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), fc.string({ unit: 'grapheme' }), (prefix, text) => {
        const { key, end } = prefixRange(prefix);
        const probe = Buffer.from(text);
        const inside = probe.compare(key) >= 0 && (end.equals(Buffer.from([0])) || probe.compare(end) < 0);
        assert.equal(inside, probe.subarray(0, key.length).equals(key));
        assert.ok(key.compare(end) < 0);
      }),
    );
  });
});

describe('keyAfter()', () => {
  it('keyAfter() leaves no room for a key between', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        const key = Buffer.from(a);
        const other = Buffer.from(b);
        assert.equal(other.compare(keyAfter(key)) < 0, other.compare(key) <= 0);
      }),
    );
  });
});
