import assert from 'node:assert/strict';
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import fc from 'fast-check';
import { RemoteQuota } from './remote-quota.ts';

const WEST = 'west' as ClusterName;
const KEYS = ['shop/a', 'shop/b', 'shop/c'] as const satisfies readonly string[];
const key = (name: string): ServiceKey => name as ServiceKey;
const wants = (count: number): ReadonlyMap<ClusterName, number> => (count > 0 ? new Map([[WEST, count]]) : new Map());

describe('RemoteQuota', () => {
  it('counts nothing off while a cluster stays below its quota', () => {
    const quota = new RemoteQuota(10);
    quota.set(key('shop/a'), wants(10));
    assert.equal(quota.settle().size, 0);
    assert.equal(quota.allowance(WEST, key('shop/a')), undefined);
    assert.deepEqual(quota.exceeded, []);
  });

  it('says whose allowance changed, also when there is room again', () => {
    const quota = new RemoteQuota(10);
    quota.set(key('shop/b'), wants(8));
    quota.set(key('shop/a'), wants(5));
    assert.deepEqual([...quota.settle()], ['shop/b']);
    assert.equal(quota.allowance(WEST, key('shop/b')), 5);
    assert.deepEqual(quota.exceeded, ['west']);
    quota.set(key('shop/a'), wants(0));
    assert.deepEqual([...quota.settle()], ['shop/b']);
    assert.equal(quota.allowance(WEST, key('shop/b')), undefined);
    assert.deepEqual(quota.exceeded, []);
  });

  it('says nothing of those whose allowance stays', () => {
    const quota = new RemoteQuota(10);
    quota.set(key('shop/a'), wants(5));
    quota.set(key('shop/b'), wants(8));
    quota.settle();
    quota.set(key('shop/c'), wants(2));
    assert.deepEqual([...quota.settle()], ['shop/c']);
    assert.deepEqual([...quota.settle()], []);
  });

  it('limits nobody whose wants just fit', () => {
    const quota = new RemoteQuota(10);
    for (const [name, count] of [
      ['shop/a', 5],
      ['shop/b', 5],
      ['shop/c', 1],
    ] as const)
      quota.set(key(name), wants(count));
    assert.deepEqual([...quota.settle()], ['shop/c']);
    assert.equal(quota.allowance(WEST, key('shop/b')), undefined);
  });

  it('keeps the clusters apart, and forgets what a Service no longer wants of one', () => {
    const quota = new RemoteQuota(1);
    const far = 'far' as ClusterName;
    quota.set(
      key('shop/a'),
      new Map([
        [WEST, 2],
        [far, 1],
      ]),
    );
    assert.deepEqual([[...quota.settle()], quota.exceeded], [['shop/a'], [WEST]]);
    quota.set(key('shop/a'), new Map([[far, 2]]));
    assert.deepEqual([[...quota.settle()], quota.exceeded], [['shop/a'], [far]]);
    assert.deepEqual([quota.allowance(WEST, key('shop/a')), quota.allowance(far, key('shop/a'))], [undefined, 1]);
  });

  it('allows the first by name, never more than the quota, the same whatever happened before', () => {
    const anyChange = fc.tuple(fc.constantFrom(...KEYS), fc.nat(9), fc.boolean());
    fc.assert(
      fc.property(fc.array(anyChange, { maxLength: 12 }), fc.integer({ min: 1, max: 12 }), (history, most) => {
        const quota = new RemoteQuota(most);
        for (const [name, count, settles] of history) {
          quota.set(key(name), wants(count));
          if (settles) quota.settle();
        }
        quota.settle();
        const last = new Map(history.map(([name, count]) => [name, count]));
        let left = most;
        for (const name of KEYS) {
          const count = last.get(name) ?? 0;
          const allowed = Math.min(count, quota.allowance(WEST, key(name)) ?? count);
          assert.equal(allowed, Math.min(count, left));
          left -= allowed;
        }
      }),
    );
  });
});
