import assert from 'node:assert/strict';
import type { JsonObject } from '../objects.ts';
import { type MergeNode, nodeMerge, plainMerge, podMerge, serviceMerge, workloadMerge } from './merge-keys.ts';
import { applyStrategicMerge } from './strategic-merge.ts';

interface Case {
  readonly name: string;
  readonly node: MergeNode;
  readonly target: JsonObject;
  readonly patch: JsonObject;
  readonly result: JsonObject | RegExp;
}

const pod = (...containers: JsonObject[]) => ({ spec: { containers } });

const cases: readonly Case[] = [
  {
    name: 'merges containers by name',
    node: podMerge,
    target: pod({ name: 'a', image: '1', command: ['x'] }, { name: 'b', image: '1' }),
    patch: pod({ name: 'a', image: '2' }, { name: 'c', image: '3' }),
    result: pod({ name: 'c', image: '3' }, { name: 'a', image: '2', command: ['x'] }, { name: 'b', image: '1' }),
  },
  {
    name: 'merges env inside containers of a template',
    node: workloadMerge,
    target: {
      spec: {
        template: pod({
          name: 'a',
          env: [
            { name: 'X', value: '1' },
            { name: 'Y', value: '1' },
          ],
        }),
      },
    },
    patch: {
      spec: {
        template: pod({
          name: 'a',
          env: [
            { name: 'Y', value: '2' },
            { name: 'X', $patch: 'delete' },
          ],
        }),
      },
    },
    result: { spec: { template: pod({ name: 'a', env: [{ name: 'Y', value: '2' }] }) } },
  },
  {
    name: 'replaces lists of plain values',
    node: podMerge,
    target: pod({ name: 'a', args: ['1', '2'] }),
    patch: pod({ name: 'a', args: ['3'] }),
    result: pod({ name: 'a', args: ['3'] }),
  },
  {
    name: 'deletes an item by $patch',
    node: podMerge,
    target: pod({ name: 'a' }, { name: 'b' }),
    patch: pod({ name: 'a', $patch: 'delete' }),
    result: pod({ name: 'b' }),
  },
  {
    name: 'orders by $setElementOrder and keeps what it does not name',
    node: podMerge,
    target: pod({ name: 'a' }, { name: 'b' }, { name: 'sidecar' }),
    patch: {
      spec: {
        '$setElementOrder/containers': [{ name: 'c' }, { name: 'b' }],
        containers: [{ name: 'c' }],
      },
    },
    result: pod({ name: 'c' }, { name: 'b' }, { name: 'a' }, { name: 'sidecar' }),
  },
  {
    name: 'replaces a whole map',
    node: plainMerge,
    target: { metadata: { labels: { a: '1', b: '2' } } },
    patch: { metadata: { labels: { $patch: 'replace', c: '3' } } },
    result: { metadata: { labels: { c: '3' } } },
  },
  {
    name: 'empties a map by $patch delete',
    node: plainMerge,
    target: { data: { a: '1' } },
    patch: { data: { $patch: 'delete' } },
    result: { data: {} },
  },
  {
    name: 'removes fields by null',
    node: plainMerge,
    target: { metadata: { annotations: { a: '1', b: '2' } } },
    patch: { metadata: { annotations: { a: null } } },
    result: { metadata: { annotations: { b: '2' } } },
  },
  {
    name: 'keeps only $retainKeys',
    node: workloadMerge,
    target: { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } },
    patch: { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } },
    result: { spec: { strategy: { type: 'Recreate' } } },
  },
  {
    name: 'merges finalizers as a set and deletes from it',
    node: plainMerge,
    target: { metadata: { finalizers: ['a', 'b'] } },
    patch: { metadata: { finalizers: ['b', 'c'], '$deleteFromPrimitiveList/finalizers': ['a'] } },
    result: { metadata: { finalizers: ['b', 'c'] } },
  },
  {
    name: 'merges conditions by type',
    node: nodeMerge,
    target: {
      status: {
        conditions: [
          { type: 'Ready', status: 'True' },
          { type: 'Disk', status: 'False' },
        ],
      },
    },
    patch: { status: { conditions: [{ type: 'Ready', status: 'False' }] } },
    result: {
      status: {
        conditions: [
          { type: 'Ready', status: 'False' },
          { type: 'Disk', status: 'False' },
        ],
      },
    },
  },
  {
    name: 'tells ports of one number apart by protocol',
    node: serviceMerge,
    target: {
      spec: {
        ports: [
          { port: 53, protocol: 'TCP', name: 't' },
          { port: 53, protocol: 'UDP', name: 'u' },
        ],
      },
    },
    patch: { spec: { ports: [{ port: 53, protocol: 'UDP', targetPort: 5353 }] } },
    result: {
      spec: {
        ports: [
          { port: 53, protocol: 'TCP', name: 't' },
          { port: 53, protocol: 'UDP', name: 'u', targetPort: 5353 },
        ],
      },
    },
  },
  {
    name: 'takes the port by number alone when the patch names no protocol',
    node: serviceMerge,
    target: { spec: { ports: [{ port: 80, protocol: 'TCP', name: 'http' }] } },
    patch: { spec: { ports: [{ port: 80, targetPort: 8080 }] } },
    result: { spec: { ports: [{ port: 80, protocol: 'TCP', name: 'http', targetPort: 8080 }] } },
  },
  {
    name: 'refuses items without the key',
    node: podMerge,
    target: pod({ name: 'a' }),
    patch: pod({ image: '2' }),
    result: /expected each item to have "name"/,
  },
];

describe('applyStrategicMerge()', () => {
  for (const { name, node, target, patch, result } of cases) {
    it(name, () => {
      const before = structuredClone(target);
      if (result instanceof RegExp) assert.throws(() => applyStrategicMerge(target, patch, node), result);
      else assert.deepEqual(applyStrategicMerge(target, patch, node), result);
      assert.deepEqual(target, before, 'the target itself stays as it was');
    });
  }
});
