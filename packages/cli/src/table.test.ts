import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatAge } from './age.ts';
import { formatTable, plain } from './table.ts';

describe('formatAge()', () => {
  const cases = [
    [0, '0s'],
    [999, '0s'],
    [12_000, '12s'],
    [119_999, '119s'],
    [120_000, '2m'],
    [3 * 60_000, '3m'],
    [119 * 60_000, '119m'],
    [2 * 3_600_000, '2h'],
    [47 * 3_600_000, '47h'],
    [48 * 3_600_000, '2d'],
    [400 * 86_400_000, '400d'],
    [-5_000, '0s'],
  ] as const;
  const now = 2_000_000_000_000;
  for (const [age, want] of cases)
    it(`says ${want} for ${age} ms`, () => assert.equal(formatAge(now - age, now), want));
  it('says - for never', () => assert.equal(formatAge(0, now), '-'));
});

describe('formatTable()', () => {
  it('aligns columns, shows - for nothing, and ends no line in spaces', () => {
    const text = formatTable(
      ['NAME', 'N', 'LAST'],
      [
        ['a-long-name', '1', ''],
        ['b', { text: '22', style: 'red' }, 'x'],
      ],
      plain,
    );
    assert.equal(text, 'NAME          N    LAST\na-long-name   1    -\nb             22   x\n');
  });

  it('gives one line for each row, whatever the texts', () => {
    const rows = fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })));
    fc.assert(
      fc.property(rows, (cells) => {
        assert.equal(formatTable(['A', 'B'], cells, plain).split('\n').length, cells.length + 2);
      }),
    );
  });
});
