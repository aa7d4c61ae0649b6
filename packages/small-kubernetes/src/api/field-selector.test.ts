import assert from 'node:assert/strict';
import { parseFieldSelector } from './field-selector.ts';
import type { KubeObject } from './objects.ts';

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'a', namespace: 'x', uid: '', resourceVersion: '', creationTimestamp: '' },
  spec: { nodeName: 'n1' },
  status: { phase: 'Running' },
} satisfies KubeObject;

const FIELDS = ['spec.nodeName', 'status.phase', 'status.podIP'];

const cases: readonly (readonly [string, boolean])[] = [
  ['metadata.name=a', true],
  ['metadata.name=a,metadata.namespace=x', true],
  ['metadata.name==b', false],
  ['spec.nodeName=n1,status.phase!=Succeeded,status.phase!=Failed', true],
  ['status.phase!=Running', false],
  ['status.podIP=', true],
  ['', true],
];

describe('field selectors', () => {
  for (const [selector, expected] of cases) {
    it(`${JSON.stringify(selector)} ${expected ? 'matches' : 'does not match'}`, () => {
      assert.equal(parseFieldSelector(selector, FIELDS)(pod), expected);
    });
  }

  it('parseFieldSelector() refuses fields that a kind does not offer', () => {
    assert.throws(() => parseFieldSelector('spec.hostname=x', FIELDS), /field label not supported: spec.hostname/);
    assert.throws(() => parseFieldSelector('nonsense', FIELDS), /invalid selector/);
  });
});
