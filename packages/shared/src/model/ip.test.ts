import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import {
  bytesOf,
  cidr,
  cidrContains,
  compareIps,
  familyOf,
  forbiddenAsRemote,
  type IpAddress,
  ip,
  ipFromBytes,
  parseCidr,
  parseIp,
  prefixMatcher,
} from './ip.ts';

const anyBytes = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);
const anyIp = anyBytes.map(ipFromBytes);

describe('parseIp()', () => {
  for (const [text, canonical] of [
    ['10.1.0.1', '10.1.0.1'],
    ['FD00:0:0::1', 'fd00::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::ffff:10.1.0.1', '::ffff:10.1.0.1'],
    ['::ffff:a01:1', '::ffff:10.1.0.1'],
    ['0:0:0:0:0:FFFF:A01:1', '::ffff:10.1.0.1'],
    // Go's netip prints these without dots, since they are not IPv4-mapped.
    ['::1.2.3.4', '::102:304'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['0:0:1::', '0:0:1::'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['::', '::'],
  ] as const) {
    it(`reads ${text} as ${canonical}`, () => assert.deepEqual(parseIp(text), { ok: true, value: canonical }));
  }

  for (const text of [
    '',
    '10.1.0',
    '10.1.0.256',
    '010.1.0.1',
    '10.1.0.1/32',
    'fe80::1%eth0',
    '1',
    'cart',
    '10.1.0.1@2',
    '::ffff:01.2.3.4',
    '::ffff:1.2.3.04',
    '1.2.3.4.5',
    '1..3.4',
    '.1.2.3',
    ':',
    ':::',
    ':1::2',
    '1::2:',
    '1::2::3',
    '12345::',
    'g::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '1:2:3:4::5:6:7:8',
    '1:2:3:4:5:6:7:1.2.3.4',
    '1:2:3:4:5:6::1.2.3.4',
    '1.2.3.4::',
    '::1.2.3',
    ' ::1',
    '::1 ',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseIp(text).ok, false));
  }

  it('reads and prints as a URL parser does, but for the dotted tail of IPv4-mapped addresses', () => {
    const piece = fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom('0', '1', 'ab', 'FFFF', '0010', ':', '::') },
      {
        weight: 1,
        arbitrary: fc.constantFrom('1.2.3.4', '0.0.0.0', 'ffff:9.8.7.6', '255.1.1.256', '01.2.3.4', 'x', ''),
      },
    );
    const spelling = fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(':').replace(/:{3,}/g, '::'));
    fc.assert(
      fc.property(fc.oneof(spelling, fc.ipV6()), (text) => {
        const parsed = parseIp(text);
        const expected = URL.parse(`http://[${text}]`)?.hostname.slice(1, -1);
        if (expected === undefined || isIPv4(text)) return assert.equal(parsed.ok, isIPv4(text), text);
        assert.ok(parsed.ok && isIPv6(text), text);
        const undotted = URL.parse(`http://[${parsed.value}]`)?.hostname.slice(1, -1);
        assert.equal(undotted, expected);
        assert.equal(parsed.value.includes('.'), expected.startsWith('::ffff:') && expected.split(':').length === 5);
      }),
      { numRuns: 2_000 },
    );
  });

  it('reads the dotted quads that inet_pton reads', () => {
    const octet = fc.oneof(fc.nat(300).map(String), fc.constantFrom('', '00', '01', '1e1', '-1', '+1', '0x1', ' 1'));
    fc.assert(
      fc.property(fc.array(octet, { minLength: 3, maxLength: 5 }), (octets) => {
        const text = octets.join('.');
        assert.equal(parseIp(text).ok, isIPv4(text), text);
      }),
      { numRuns: 1_000 },
    );
  });

  it('gives back what ipFromBytes() was given', () => {
    fc.assert(fc.property(anyBytes, (bytes) => assert.deepEqual(bytesOf(ipFromBytes(bytes)), bytes)));
  });
});

describe('prefixes', () => {
  it('hold an address if and only if the leading bits are the same', () => {
    const bits = (address: IpAddress): string =>
      [...bytesOf(address)].map((byte) => byte.toString(2).padStart(8, '0')).join('');
    fc.assert(
      fc.property(anyIp, anyIp, fc.nat(128), (address, other, length) => {
        const size = Math.min(length, familyOf(address) === 4 ? 32 : 128);
        const expected = familyOf(address) === familyOf(other) && bits(other).startsWith(bits(address).slice(0, size));
        assert.equal(cidrContains({ address, length: size }, other), expected);
      }),
    );
  });

  it('are found in the order given', () => {
    const match = prefixMatcher([cidr('10.1.2.0/24'), cidr('10.1.0.0/16')]);
    assert.deepEqual(match(ip('10.1.2.3')), cidr('10.1.2.0/24'));
    assert.deepEqual(match(ip('10.1.3.3')), cidr('10.1.0.0/16'));
    assert.equal(match(ip('fd00::1')), undefined);
  });

  for (const text of ['10.1.0.0', '10.1.0.0/33', '10.1.0.1/24', '10.1.0.0/x', 'fd00::/129', '/24']) {
    it(`refuse ${text}`, () => assert.equal(parseCidr(text).ok, false));
  }
});

describe('compareIps()', () => {
  it('orders by number, IPv4 first', () => {
    const sorted = ['2.0.0.0', '10.0.0.2', '10.0.0.10', '200.0.0.1', '::2', 'fd00::2', 'fd00::10'].map(ip);
    assert.deepEqual(sorted.toReversed().sort(compareIps), sorted);
  });
});

describe('forbiddenAsRemote()', () => {
  for (const text of [
    '127.0.0.1',
    '169.254.169.254',
    '224.0.0.1',
    '0.0.0.0',
    '255.255.255.255',
    '::1',
    'fe80::1',
    'ff02::1',
    '::',
    '::ffff:127.0.0.1',
    'fd00:ec2::254',
  ]) {
    it(`refuses ${text}`, () => assert.notEqual(forbiddenAsRemote(ip(text)), undefined));
  }
  for (const text of ['10.2.0.1', '192.168.1.1', '8.8.8.8', 'fd00::1', '2001:db8::1']) {
    it(`lets ${text} pass`, () => assert.equal(forbiddenAsRemote(ip(text)), undefined));
  }
});
