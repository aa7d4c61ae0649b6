import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Workload } from '../api/kinds/typed.ts';
import { boundsOf, planRollout } from './rollout.ts';

function set(name: string, replicas: number, available: number): Workload {
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name, uid: name, resourceVersion: '', creationTimestamp: '' },
    spec: { replicas, selector: {}, template: { spec: { containers: [] } } },
    status: { availableReplicas: available },
  };
}

function deployment(
  replicas: number,
  maxSurge: number | string,
  maxUnavailable: number | string,
  type = 'RollingUpdate',
): Workload {
  const base = set('d', replicas, 0);
  return { ...base, spec: { ...base.spec, strategy: { type, rollingUpdate: { maxSurge, maxUnavailable } } } };
}

describe('boundsOf()', () => {
  const cases: readonly (readonly [number, number | string, number | string, number, number])[] = [
    [10, '25%', '25%', 3, 2],
    [1, '25%', '25%', 1, 0],
    [4, 0, 1, 0, 1],
    [4, 0, 0, 0, 1],
    [0, '25%', '25%', 0, 0],
  ];
  for (const [desired, surge, unavailable, expectedSurge, expectedUnavailable] of cases) {
    it(`of ${desired} with ${surge}/${unavailable} are ${expectedSurge}/${expectedUnavailable}`, () => {
      const bounds = boundsOf(deployment(desired, surge, unavailable));
      if (desired > 0) assert.deepEqual(bounds, { desired, surge: expectedSurge, unavailable: expectedUnavailable });
    });
  }
});

describe('planRollout()', () => {
  it('never takes available pods below the bound, never goes above the surge, and gets there', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 0, max: 3 }),
        fc.array(fc.nat(2), { maxLength: 40 }),
        (desired, maxSurge, maxUnavailable, script) => {
          const wanted = deployment(desired, maxSurge, maxUnavailable);
          const { surge, unavailable } = boundsOf(wanted);
          let old = set('old', desired, desired);
          let next = set('new', 0, 0);
          const step = () => {
            const replicas = planRollout(wanted, next, [old]);
            const scaled = (s: Workload) => {
              const count = replicas.get(s.metadata.name) ?? s.spec.replicas ?? 0;
              return set(s.metadata.name, count, Math.min(count, s.status.availableReplicas ?? 0));
            };
            [old, next] = [scaled(old), scaled(next)];
            const total = (old.spec.replicas ?? 0) + (next.spec.replicas ?? 0);
            const available = (old.status.availableReplicas ?? 0) + (next.status.availableReplicas ?? 0);
            assert.ok(total <= desired + surge, `${total} pods of ${desired}+${surge}`);
            assert.ok(available >= desired - unavailable, `${available} available of ${desired}-${unavailable}`);
          };
          const becomeReady = (count: number) => {
            next = set(
              'new',
              next.spec.replicas ?? 0,
              Math.min(next.spec.replicas ?? 0, (next.status.availableReplicas ?? 0) + count),
            );
          };
          for (const count of script) {
            step();
            becomeReady(count);
          }
          for (let rest = 0; rest < 3 * desired; rest++) {
            step();
            becomeReady(1);
          }
          assert.deepEqual([old.spec.replicas, next.spec.replicas], [0, desired]);
        },
      ),
    );
  });

  it('takes pods that do not work before pods that do, whichever set is listed first', () => {
    const sets = [set('works', 3, 3), set('broken', 3, 0)];
    assert.deepEqual(
      [...planRollout(deployment(3, 1, 0), set('new', 1, 0), sets)],
      [
        ['new', 1],
        ['works', 3],
        ['broken', 0],
      ],
    );
    assert.deepEqual(
      [...planRollout(deployment(3, 1, 0), set('new', 1, 1), sets)],
      [
        ['new', 1],
        ['works', 2],
        ['broken', 0],
      ],
    );
  });

  it('scales both ways when nothing else changed', () => {
    assert.deepEqual([...planRollout(deployment(5, 1, 1), set('new', 2, 2), [])], [['new', 5]]);
    assert.deepEqual([...planRollout(deployment(1, 1, 1), set('new', 4, 4), [])], [['new', 1]]);
  });
});
