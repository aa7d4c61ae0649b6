import assert from 'node:assert/strict';
import { formatList, humanDuration } from './columns.ts';
import { declaredColumns } from './other-columns.ts';

describe('humanDuration()', () => {
  const second = 1000;
  const minute = 60 * second;
  const hour = 60 * minute;
  const day = 24 * hour;
  const cases: readonly (readonly [number, string])[] = [
    [-5 * second, '<invalid>'],
    [-500, '0s'],
    [0, '0s'],
    [119 * second, '119s'],
    [2 * minute, '2m'],
    [5 * minute + 3 * second, '5m3s'],
    [10 * minute + 3 * second, '10m'],
    [179 * minute, '179m'],
    [3 * hour + 5 * minute, '3h5m'],
    [30 * hour, '30h'],
    [3 * day + 4 * hour, '3d4h'],
    [100 * day, '100d'],
    [3 * 365 * day, '3y'],
  ];
  for (const [ms, text] of cases) it(`writes ${ms} ms as ${text}`, () => assert.equal(humanDuration(ms), text));
});

it('formatList() shows three and counts the rest', () => {
  assert.equal(formatList(['a', 'b', 'c', 'd', 'e']), 'a,b,c + 2 more...');
  assert.equal(formatList([]), '<none>');
});

it('declaredColumns() reads fields, indexes, filters and quoted keys of an object', () => {
  const object = {
    apiVersion: 'x/v1',
    kind: 'X',
    metadata: {
      name: 'a',
      uid: '',
      resourceVersion: '',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { 'a.b/c': 'l' },
    },
    spec: { replicas: 3, list: ['p', 'q'] },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  };
  const paths = [
    ['.spec.replicas', 3],
    ['.spec.list[1]', 'q'],
    ['.status.conditions[?(@.type=="Ready")].status', 'True'],
    [".metadata.labels['a.b/c']", 'l'],
    ['.metadata.labels.a\\.b/c', 'l'],
    ['.spec.missing', ''],
  ] as const;
  const columns = declaredColumns(paths.map(([jsonPath]) => ({ name: jsonPath, type: 'string', jsonPath })));
  assert.deepEqual(
    columns.slice(1).map((column) => column.cell(object, new Date())),
    paths.map(([, expected]) => expected),
  );
});
