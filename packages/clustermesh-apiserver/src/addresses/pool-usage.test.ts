import assert from 'node:assert/strict';
import { addressAt } from '@tombolo/shared/model/address-range.ts';
import { type Cidr, cidr } from '@tombolo/shared/model/ip.ts';
import { ReservedAddresses, reserve } from '@tombolo/shared/model/reserved-addresses.ts';
import fc from 'fast-check';
import { AddressAllocator } from './allocator.ts';
import { ciliumPool, claim, key, metallbPool } from './claims.fixture.ts';
import { capacityOf } from './pool-usage.ts';

const anyRange = fc
  .tuple(fc.nat(700), fc.oneof(fc.nat(3), fc.nat(600)))
  .map(([first, more]): readonly [number, number] => [first, first + more]);
const BASE = 0xc6120000; // 198.18.0.0
const text = (number: number): string => addressAt(4, BigInt(BASE + number));

describe('capacityOf', () => {
  it('counts what a count of address after address counts', () => {
    fc.assert(
      fc.property(
        fc.array(anyRange, { maxLength: 4 }),
        fc.array(anyRange, { maxLength: 4 }),
        fc.boolean(),
        (ranges, taken, avoidBuggyIPs) => {
          const pool = metallbPool('p', {
            avoidBuggyIPs,
            addresses: ranges.map(([first, last]) => `${text(first)}-${text(last)}`),
          });
          const reserved = new ReservedAddresses(
            taken.map(([first, last]) => ({
              ...{ family: 4, what: 'x' },
              ...{ first: BigInt(BASE + first), last: BigInt(BASE + last) },
            })),
          );
          let expected = 0;
          const isIn = (all: typeof ranges, number: number) =>
            all.some(([first, last]) => first <= number && number <= last);
          for (let number = 0; number <= 1_400; number++) {
            const isBuggy = avoidBuggyIPs && /\.(0|255)$/.test(text(number));
            if (isIn(ranges, number) && !isIn(taken, number) && !isBuggy) expected++;
          }
          assert.equal(capacityOf(pool, 4, reserved), BigInt(expected));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('counts what has no end', () => {
    const pool = ciliumPool('p', { blocks: [{ cidr: '2001:db8::/32' }] });
    assert.equal(capacityOf(pool, 6, new ReservedAddresses([])), 2n ** 96n);
  });
});

describe('AddressAllocator.usage', () => {
  const used = (allocator: AddressAllocator, pool: string) => {
    const usage = allocator.usage.get(pool) ?? assert.fail();
    return { v4: [usage[4].used, Number(usage[4].available)], v6: [usage[6].used, Number(usage[6].available)] };
  };
  const block: Cidr = cidr('192.0.2.0/31');

  it('tells of addresses that are given, whoever gave them, each once', () => {
    const allocator = new AddressAllocator();
    allocator.setPools([
      ciliumPool('blue', { blocks: [{ cidr: '192.0.2.0/28' }, { cidr: '2001:db8::/126' }], allowFirstLastIPs: 'No' }),
      metallbPool('same', { addresses: ['192.0.2.0/28'], avoidBuggyIPs: true }),
    ]);
    const shared = { annotations: { 'lbipam.cilium.io/sharing-key': 'k' } };
    allocator.setService(key('a'), claim('a', { ...shared, held: ['192.0.2.1'] }));
    allocator.setService(key('b'), claim('b', { ...shared, held: ['192.0.2.1'], spec: { ports: [{ port: 81 }] } }));
    allocator.setService(key('theirs'), claim('theirs', { held: ['192.0.2.3'], spec: { loadBalancerClass: 'x/y' } }));
    allocator.settle();
    assert.deepEqual(used(allocator, 'cilium/blue'), { v4: [2, 12], v6: [0, 2] });
    assert.deepEqual(used(allocator, 'metallb/same'), { v4: [2, 13], v6: [0, 0] });
    allocator.setReserved([reserve(block, 'an address of node a')]);
    allocator.settle();
    // 192.0.2.1 is kept; neither it nor 192.0.2.0 would be given again.
    assert.deepEqual(used(allocator, 'metallb/same'), { v4: [2, 13], v6: [0, 0] });
    allocator.setService(key('a'), undefined);
    allocator.setService(key('b'), undefined);
    assert.deepEqual(used(allocator, 'metallb/same'), { v4: [1, 13], v6: [0, 0] });
  });
});
