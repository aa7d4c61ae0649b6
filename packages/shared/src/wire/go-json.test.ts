import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compareUtf8, goList, goMap, goString, goStringMap, goStruct } from './go-json.ts';
import { encodeTimestamp } from './timestamp.ts';

describe('go-json', () => {
  const strings: readonly [string, string][] = [
    ['a<b>&c', '"a\\u003cb\\u003e\\u0026c"'],
    ['\u2028\u2029', '"\\u2028\\u2029"'],
    ['"\\/', '"\\"\\\\/"'],
    ['\b\f\n\r\t\u0001\u001f\u007f', '"\\b\\f\\n\\r\\t\\u0001\\u001f\u007f"'],
    ['\ud800x', '"\ufffdx"'],
    ['é😀', '"é😀"'],
  ];
  for (const [text, expected] of strings) {
    it(`goString() writes ${expected}`, () => assert.equal(goString(text), expected));
  }

  it('goMap() sorts keys by their bytes and tells null from empty', () => {
    assert.equal(
      goMap(
        new Map([
          ['10', 1],
          ['9', 2],
          ['\u{1f600}', 3],
          ['\uffff', 4],
        ]),
        String,
      ),
      '{"10":1,"9":2,"\uffff":4,"\u{1f600}":3}',
    );
    assert.equal(goStringMap(null), 'null');
    assert.equal(goStringMap(new Map()), '{}');
    assert.equal(goList(null, goString), 'null');
    assert.equal(goList([], goString), '[]');
  });

  it('goStruct() leaves out undefined fields and keeps the order', () => {
    assert.equal(
      goStruct([
        ['b', '1'],
        ['x', undefined],
        ['a', '2'],
      ]),
      '{"b":1,"a":2}',
    );
  });

  it('compareUtf8() orders as the encoded bytes do', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        assert.equal(Math.sign(compareUtf8(a, b)), Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
      }),
      { examples: [['\uffff', '\u{10000}']] },
    );
  });

  it('encodeTimestamp() prints whole seconds in UTC', () => {
    assert.equal(encodeTimestamp(Date.UTC(2026, 10, 22, 4, 24, 21, 987)), '2026-11-22T04:24:21Z');
  });
});
