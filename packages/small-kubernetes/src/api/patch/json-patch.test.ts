import assert from 'node:assert/strict';
import type { JsonObject } from '../objects.ts';
import { applyJsonPatch } from './json-patch.ts';

const cases: readonly { name: string; target: JsonObject; patch: unknown; result: JsonObject | RegExp }[] = [
  { name: 'adds a field', target: { a: 1 }, patch: [{ op: 'add', path: '/b', value: 2 }], result: { a: 1, b: 2 } },
  { name: 'replaces by add', target: { a: 1 }, patch: [{ op: 'add', path: '/a', value: 2 }], result: { a: 2 } },
  {
    name: 'inserts into a list',
    target: { a: [1, 3] },
    patch: [{ op: 'add', path: '/a/1', value: 2 }],
    result: { a: [1, 2, 3] },
  },
  { name: 'appends', target: { a: [1] }, patch: [{ op: 'add', path: '/a/-', value: 2 }], result: { a: [1, 2] } },
  {
    name: 'removes',
    target: { a: [1, 2], b: 1 },
    patch: [
      { op: 'remove', path: '/a/0' },
      { op: 'remove', path: '/b' },
    ],
    result: { a: [2] },
  },
  {
    name: 'replaces',
    target: { a: { b: 1 } },
    patch: [{ op: 'replace', path: '/a/b', value: 2 }],
    result: { a: { b: 2 } },
  },
  {
    name: 'moves',
    target: { a: { b: 1 }, c: {} },
    patch: [{ op: 'move', from: '/a/b', path: '/c/d' }],
    result: { a: {}, c: { d: 1 } },
  },
  {
    name: 'copies',
    target: { a: [1] },
    patch: [
      { op: 'copy', from: '/a', path: '/b' },
      { op: 'add', path: '/b/-', value: 2 },
    ],
    result: { a: [1], b: [1, 2] },
  },
  {
    name: 'tests equality of objects in any order',
    target: { a: { x: 1, y: 2 } },
    patch: [{ op: 'test', path: '/a', value: { y: 2, x: 1 } }],
    result: { a: { x: 1, y: 2 } },
  },
  {
    name: 'reads ~1 and ~0',
    target: { 'a/b': 1, 'c~d': 2 },
    patch: [
      { op: 'remove', path: '/a~1b' },
      { op: 'replace', path: '/c~0d', value: 3 },
    ],
    result: { 'c~d': 3 },
  },
  {
    name: 'tells ~01 from ~1',
    target: { '~1': 1 },
    patch: [{ op: 'replace', path: '/~01', value: 2 }],
    result: { '~1': 2 },
  },
  {
    name: 'refuses a failed test',
    target: { a: 1 },
    patch: [{ op: 'test', path: '/a', value: 2 }],
    result: /testing path \/a failed/,
  },
  {
    name: 'refuses to replace what is not there',
    target: {},
    patch: [{ op: 'replace', path: '/a', value: 2 }],
    result: /does not exist/,
  },
  {
    name: 'refuses to remove what is not there',
    target: { a: [] },
    patch: [{ op: 'remove', path: '/a/0' }],
    result: /out of bounds/,
  },
  {
    name: 'refuses an index past the end',
    target: { a: [1] },
    patch: [{ op: 'add', path: '/a/2', value: 1 }],
    result: /out of bounds/,
  },
  {
    name: 'refuses leading zeros',
    target: { a: [1, 2] },
    patch: [{ op: 'remove', path: '/a/01' }],
    result: /out of bounds/,
  },
  { name: 'refuses an unknown operation', target: {}, patch: [{ op: 'merge', path: '/a' }], result: /known operation/ },
  {
    name: 'refuses a path without slash',
    target: {},
    patch: [{ op: 'add', path: 'a', value: 1 }],
    result: /JSON pointer/,
  },
  { name: 'refuses a patch that is no list', target: {}, patch: {}, result: /array of operations/ },
];

describe('applyJsonPatch()', () => {
  for (const { name, target, patch, result } of cases) {
    it(name, () => {
      const before = structuredClone(target);
      if (result instanceof RegExp) assert.throws(() => applyJsonPatch(target, patch), result);
      else assert.deepEqual(applyJsonPatch(target, patch), result);
      assert.deepEqual(target, before, 'the target itself stays as it was');
    });
  }

  it('makes a key like __proto__ a field and nothing else', () => {
    const result = applyJsonPatch({}, [{ op: 'add', path: '/__proto__', value: { polluted: true } }]);
    assert.ok(Object.hasOwn(result, '__proto__'));
    assert.equal(({} as JsonObject)['polluted'], undefined);
  });
});
