import assert from 'node:assert/strict';
import type { KubeObject } from './objects.ts';
import { humanDuration, podTable } from './tables.ts';

describe('humanDuration()', () => {
  const cases: readonly (readonly [number, string])[] = [
    [-1, '0s'],
    [119, '119s'],
    [120, '2m'],
    [125, '2m'],
    [600, '10m'],
    [10_800, '3h'],
    [100_000, '27h'],
    [180_000, '2d'],
    [864_000, '10d'],
  ];
  for (const [seconds, text] of cases) it(text, () => assert.equal(humanDuration(seconds * 1000), text));
});

it('podTable shows why a pod does not run', () => {
  const metadata = { name: 'p', uid: '', resourceVersion: '', creationTimestamp: '2026-01-01T00:00:00Z' };
  const containerStatuses = [{ name: 'c', ready: false, restartCount: 2, state: { waiting: { reason: 'Crash' } } }];
  const pod: KubeObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: { containers: [{ name: 'c' }] },
    status: { phase: 'Running', containerStatuses },
  };
  const none = '<none>';
  const cells = podTable.row(pod, new Date('2026-01-01T00:00:05Z'));
  assert.deepEqual(cells, ['p', '0/1', 'Crash', 2, '5s', none, none, none, none]);
});
