import assert from 'node:assert/strict';
import { isFor, poolId } from '@tombolo/shared/model/address-pool.ts';
import fc from 'fast-check';
import { ciliumPool, key, metallbPool } from './claims.fixture.ts';
import { OpenPools } from './open-pools.ts';

const KEYS = ['color', 'tier', 'io.kubernetes.service.namespace', 'io.kubernetes.service.name'] as const;
const anyKey = fc.constantFrom(...KEYS);
const anyValue = fc.constantFrom('red', 'shop', 'web');

const anySelector = fc.record({
  matchLabels: fc.dictionary(anyKey, anyValue, { maxKeys: 2 }),
  matchExpressions: fc.array(
    fc.oneof(
      fc.record({ key: anyKey, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
      fc.record({
        key: anyKey,
        operator: fc.constantFrom('In', 'NotIn'),
        values: fc.array(anyValue, { minLength: 1, maxLength: 2 }),
      }),
    ),
    { maxLength: 2 },
  ),
});
const few = <T>(each: fc.Arbitrary<T>) => fc.array(each, { maxLength: 2 });
const anyAllocation = fc.record(
  { namespaces: few(anyValue), namespaceSelectors: few(anySelector), serviceSelectors: few(anySelector) },
  { requiredKeys: [] },
);
const optional = <T>(each: fc.Arbitrary<T>) => fc.option(each, { nil: undefined });
const anyPool = fc.oneof(
  optional(anySelector).map((serviceSelector) => (name: string) => ciliumPool(name, { serviceSelector })),
  optional(anyAllocation).map(
    (serviceAllocation) => (name: string) => metallbPool(name, { addresses: [], serviceAllocation }),
  ),
);

describe('OpenPools', () => {
  it('leaves out no pool that is for the Service, and keeps their order', () => {
    fc.assert(
      fc.property(
        fc.array(anyPool, { maxLength: 12 }),
        fc.dictionary(anyKey, anyValue),
        fc.dictionary(anyKey, anyValue),
        fc.tuple(anyValue, anyValue),
        (made, labels, namespaceLabels, [namespace, name]) => {
          const pools = made.map((make, i) => make(`p${i}`));
          const service = key(name, namespace);
          const open = (all: Iterable<(typeof pools)[number]>) =>
            [...all].filter((pool) => isFor(pool, service, labels, namespaceLabels)).map(poolId);
          assert.deepEqual(open(new OpenPools(pools).for({ key: service, labels })), open(pools));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('does not look at pools for others', () => {
    const pools = [
      ciliumPool('red', { serviceSelector: { matchLabels: { color: 'red' } } }),
      ciliumPool('bank', { serviceSelector: { matchLabels: { 'io.kubernetes.service.namespace': 'bank' } } }),
      metallbPool('bank', { addresses: [], serviceAllocation: { namespaces: ['bank'] } }),
      ciliumPool('all', {}),
    ];
    const found = [...new OpenPools(pools).for({ key: key('a'), labels: { color: 'blue' } })];
    assert.deepEqual(found.map(poolId), ['cilium/all']);
  });
});
