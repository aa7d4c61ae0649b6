import assert from 'node:assert/strict';
import type { Json } from '@tombolo/shared/kubernetes/json.ts';
import type { PoolObject } from '@tombolo/shared/kubernetes/pool-object.ts';
import { ciliumPool, metallbPool } from './claims.fixture.ts';
import { isOthers, poolStatusOf } from './pool-status.ts';
import type { PoolUsage } from './pool-usage.ts';

const object = (parts: Partial<PoolObject> = {}): PoolObject => ({
  pool: ciliumPool('blue', { blocks: [{ cidr: '192.0.2.0/28' }] }),
  ...{
    problems: [],
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumLoadBalancerIPPool',
    name: 'blue',
    namespace: '',
    uid: 'u',
    resourceVersion: '7',
    generation: 3,
  },
  ...{ status: {}, statusWriters: [] },
  ...parts,
});
const usage = (used4: number, available4: bigint, used6 = 0, available6 = 0n): PoolUsage => ({
  4: { used: used4, available: available4 },
  6: { used: used6, available: available6 },
});
const NOW = '2026-01-02T00:00:00Z';

describe('poolStatusOf', () => {
  it('says in Cilium’s conditions how many there are of both families together, however many', () => {
    const status = poolStatusOf(object(), usage(2, 14n, 1, 2n ** 96n), undefined, NOW);
    const unknown = { status: 'Unknown', reason: 'noreason', observedGeneration: 3, lastTransitionTime: NOW };
    assert.deepEqual(status, {
      conditions: [
        {
          ...{ type: 'cilium.io/PoolConflict', status: 'False', reason: 'resolved', message: '' },
          ...{ observedGeneration: 3, lastTransitionTime: NOW },
        },
        { type: 'cilium.io/IPsTotal', message: '79228162514264337593543950353', ...unknown },
        { type: 'cilium.io/IPsAvailable', message: '79228162514264337593543950350', ...unknown },
        { type: 'cilium.io/IPsUsed', message: '3', ...unknown },
      ],
    });
  });

  it('says nothing twice, and again for another generation', () => {
    const status = poolStatusOf(object(), usage(2, 14n), undefined, NOW) ?? assert.fail();
    assert.equal(poolStatusOf(object({ status }), usage(2, 14n), undefined, 'later'), undefined);
    assert(poolStatusOf(object({ status, generation: 4 }), usage(2, 14n), undefined, 'later'));
  });

  it('keeps the conditions of others, and the time since when one is as it is', () => {
    const theirs = { type: 'example.com/Fine', status: 'True' };
    const first = poolStatusOf(object({ status: { conditions: [theirs] } }), usage(0, 16n), undefined, NOW);
    const second = poolStatusOf(object({ status: first ?? {} }), usage(1, 15n), 'overlaps', 'later');
    const conditions = (second?.['conditions'] ?? []) as readonly Json[];
    assert.deepEqual(conditions[0], theirs);
    assert.deepEqual(
      conditions
        .slice(1)
        .map(({ type, status, reason, lastTransitionTime }) => [type, status, reason, lastTransitionTime]),
      [
        ['cilium.io/PoolConflict', 'True', 'cidr_overlap', 'later'],
        ['cilium.io/IPsTotal', 'Unknown', 'noreason', NOW],
        ['cilium.io/IPsAvailable', 'Unknown', 'noreason', NOW],
        ['cilium.io/IPsUsed', 'Unknown', 'noreason', NOW],
      ],
    );
  });

  it('says in MetalLB’s numbers how many there are of each family, as large as they fit', () => {
    const shop = object({ pool: metallbPool('shop', { addresses: ['192.0.2.0/28', '2001:db8::/64'] }) });
    const status = poolStatusOf(shop, usage(2, 14n, 1, 2n ** 64n - 1n), undefined, NOW) ?? assert.fail();
    const { availableIPv6, ...rest } = status;
    assert.deepEqual(rest, { assignedIPv4: 2, assignedIPv6: 1, availableIPv4: 14 });
    // What an int64 takes, in the digits that go over the wire.
    const digits = BigInt(JSON.stringify(availableIPv6));
    assert(digits < 2n ** 63n && digits > 2n ** 62n, `${digits}`);
    assert.equal(poolStatusOf({ ...shop, status }, usage(2, 14n, 1, 2n ** 64n - 1n), undefined, NOW), undefined);
  });
});

describe('isOthers', () => {
  const AT = Date.parse('2026-01-01T12:00:00Z');
  const written = (...statusWriters: PoolObject['statusWriters']) => object({ statusWriters });
  const cilium = (at: string) => ({ name: 'cilium-operator-lb-ipam', at: `2026-01-01T${at}Z` });
  const ours = (at: string) => ({ name: 'tombolo', at: `2026-01-01T${at}Z` });

  it('finds somebody else only where he wrote last, and lately', () => {
    assert.equal(isOthers(written(), false, AT), false);
    assert.equal(isOthers(written(ours('11:00:00')), false, AT), false);
    assert.equal(isOthers(written(cilium('11:56:00')), false, AT), true);
    assert.equal(isOthers(written(cilium('11:54:00')), false, AT), false);
    assert.equal(isOthers(written(cilium('11:57:00'), ours('11:58:00')), false, AT), false);
    assert.equal(isOthers(written(cilium('11:57:00'), ours('11:56:00')), false, AT), true);
  });

  it('finds who came back for good', () => {
    assert.equal(isOthers(written(cilium('02:00:01'), ours('02:00:00')), true, AT), true);
    assert.equal(isOthers(written(cilium('02:00:00'), ours('02:00:00')), true, AT), true);
    assert.equal(isOthers(written(cilium('01:00:00'), ours('02:00:00')), true, AT), false);
  });
});
