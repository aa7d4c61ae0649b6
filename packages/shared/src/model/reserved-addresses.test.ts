import assert from 'node:assert/strict';
import fc from 'fast-check';
import { addressAt } from './address-range.ts';
import { cidr, ip } from './ip.ts';
import { ReservedAddresses, reserve, reserveAddress } from './reserved-addresses.ts';

describe('ReservedAddresses', () => {
  const reserved = new ReservedAddresses([
    reserve(cidr('10.96.0.0/12'), 'a cluster IP'),
    reserveAddress(ip('192.0.2.10'), 'the address of node a'),
    reserveAddress(ip('2001:db8::10'), 'the address of node a'),
  ]);

  for (const [address, what] of Object.entries({
    '0.0.0.0': 'an unspecified address',
    '127.255.255.255': 'a loopback address',
    '128.0.0.0': undefined,
    '169.254.169.254': 'a link-local address',
    '239.1.1.1': 'a multicast address',
    '255.255.255.255': 'a reserved or broadcast address',
    '10.95.255.255': undefined,
    '10.96.0.0': 'a cluster IP',
    '10.111.255.255': 'a cluster IP',
    '192.0.2.9': undefined,
    '192.0.2.10': 'the address of node a',
    '192.0.2.11': undefined,
    '::1': 'an unspecified, loopback or mapped address',
    '2001:db8::10': 'the address of node a',
    '2001:db8::11': undefined,
    'fe80::1': 'a link-local address',
    'ff02::1': 'a multicast address',
    'fd00::1': undefined,
  }))
    it(`${address} is ${what ?? 'nobody’s'}`, () => assert.equal(reserved.with(ip(address))?.what, what));

  it('knows of each address what a search through all ranges knows', () => {
    const start = 0x0a_00_00_00n;
    const range = fc.tuple(fc.nat(60), fc.nat(9)).map(([at, more]) => ({
      family: 4 as const,
      first: start + BigInt(at),
      last: start + BigInt(at + more),
      what: 'x',
    }));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 9 }), fc.nat(70), (ranges, at) => {
        const number = start + BigInt(at);
        const isReserved = ranges.some(({ first, last }) => first <= number && number <= last);
        assert.equal(new ReservedAddresses(ranges).with(addressAt(4, number)) !== undefined, isReserved);
      }),
    );
  });
});
