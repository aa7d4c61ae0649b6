import assert from 'node:assert/strict';
import { formatCidr, type IpAddress, ipFromBytes, parseNetwork } from '@tombolo/shared/model/ip.ts';
import fc from 'fast-check';
import { attribute, messagesOf } from '../netlink/messages.ts';
import { decodeElement, type Element, elementMessages, elementsIn, encodeElement, encodeKey } from './element-codec.ts';
import { addressBytes, FAMILIES, type Family } from './family.ts';
import { encodePrefixes } from './prefixes.ts';
import { type FieldKind, SETS, type SetName, shapeOf } from './sets.ts';

/** An element of a list, as nft 1.0.6 was seen to send it (`--debug=mnl`), but for the bit that marks a nest. */
const SEEN: readonly (readonly [Family, Element, string])[] = [
  [
    'ip',
    { set: 'services', key: ['10.96.0.1', 'tcp', 80], value: [3], comment: 'ClusterIP' },
    '34000100' +
      '14000100' +
      '10000100' +
      '0a600001' +
      '06000000' +
      '00500000' +
      '0c000200' +
      '08000100' +
      '03000000' +
      '10000600' +
      '000a436c' +
      '75737465' +
      '72495000',
  ],
  [
    'ip',
    { set: 'choices', key: ['tcp', 3], value: ['tcp-3'], comment: '' },
    '30000100' +
      '10000100' +
      '0c000100' +
      '06000000' +
      '03000000' +
      '1c000200' +
      '18000200' +
      '08000100' +
      'fffffffc' +
      '0a000200' +
      '7463702d' +
      '33000000',
  ],
  [
    'ip',
    { set: 'slots-tcp', key: ['10.96.0.1', 80, 2], value: ['10.2.0.1', 8080], comment: '17' },
    '34000100' +
      '14000100' +
      '10000100' +
      '0a600001' +
      '00500000' +
      '02000000' +
      '10000200' +
      '0c000100' +
      '0a020001' +
      '1f900000' +
      '09000600' +
      '00033137' +
      '00000000',
  ],
  [
    'ip',
    { set: 'backends', key: ['10.2.0.1', '10.2.0.1'], value: [], comment: '' },
    '14000100' + '10000100' + '0c000100' + '0a020001' + '0a020001',
  ],
  [
    'ip6',
    { set: 'services', key: ['fd96::1', 'tcp', 80], value: [3], comment: 'ClusterIP' },
    '40000100' +
      '20000100' +
      '1c000100' +
      'fd960000000000000000000000000001' +
      '06000000' +
      '00500000' +
      '0c000200' +
      '08000100' +
      '03000000' +
      '10000600' +
      '000a436c' +
      '75737465' +
      '72495000',
  ],
];

const address = (family: Family): fc.Arbitrary<IpAddress> =>
  fc.uint8Array({ minLength: family === 'ip' ? 4 : 16, maxLength: family === 'ip' ? 4 : 16 }).map(ipFromBytes);

function field(family: Family, kind: FieldKind): fc.Arbitrary<string | number> {
  switch (kind) {
    case 'address':
      return address(family);
    case 'protocol':
      return fc.constantFrom('tcp', 'udp', 'sctp');
    case 'port':
      return fc.nat(65_535);
    case 'prefix':
      return fc
        .tuple(
          fc.uint8Array({ minLength: addressBytes[family], maxLength: addressBytes[family] }),
          fc.nat(8 * addressBytes[family]),
        )
        .map(([bytes, length]) => formatCidr(networkOf(ipFromBytes(bytes), length)));
    default:
      return fc.nat(0xffffffff);
  }
}

function networkOf(address: IpAddress, length: number) {
  const network = parseNetwork(`${address}/${length}`);
  assert.ok(network.ok);
  return network.value;
}

const fields = (family: Family, kinds: readonly FieldKind[]): fc.Arbitrary<(string | number)[]> =>
  fc.tuple(...kinds.map((kind) => field(family, kind)));

const element = (family: Family, set: SetName): fc.Arbitrary<Element> => {
  const { key, value = [] } = shapeOf(set);
  return fc.record(
    {
      set: fc.constant(set),
      key: fields(family, key),
      value:
        value === 'chain'
          ? fc.tuple(fc.constantFrom('tcp-1', 'nodeport-udp-32767-sticky-86400'))
          : fields(family, value),
      comment: fc.constantFrom('', '7', '17', 'ClusterIP', 'LoadBalancer'),
    },
    { noNullPrototype: true },
  );
};

describe('elements as bytes', () => {
  for (const [family, one, hex] of SEEN) {
    it(`are those of nft: ${family} ${one.set}`, () => {
      assert.equal(encodeElement(family, one).toString('hex'), hex);
      assert.deepEqual(decodeElement(family, one.set, Buffer.from(hex, 'hex').subarray(4)), one);
    });
  }

  for (const family of FAMILIES) {
    it(`are read back as they were written: ${family}`, () => {
      for (const set of SETS) {
        fc.assert(
          fc.property(element(family, set), (one) => {
            const bytes = encodeElement(family, one);
            assert.equal(bytes.readUInt16LE(0), bytes.length);
            assert.equal(bytes.length % 4, 0);
            assert.deepEqual(decodeElement(family, set, bytes.subarray(4)), one);
            const key = encodeKey(family, one);
            assert.ok(bytes.subarray(4).indexOf(key.subarray(4)) === 0);
          }),
          { numRuns: 30 },
        );
      }
    });
  }

  it('are not read from junk, which ends', () => {
    fc.assert(
      fc.property(fc.constantFrom(...SETS), fc.uint8Array({ maxLength: 80 }), (set, junk) => {
        decodeElement('ip', set, Buffer.from(junk));
      }),
      {
        examples: [
          ['services', Uint8Array.of(0, 1, 1, 0)],
          // A verdict without a code at the very end.
          ['choices', Uint8Array.of(8, 0, 1, 0, 4, 0, 1, 0, 16, 0, 2, 0, 12, 0, 2, 0, 4, 0, 2, 0, 4, 0, 1, 0)],
        ],
      },
    );
  });

  it('fill messages, none of which is too long for its length to be told', () => {
    const encoded = Array.from({ length: 3000 }, (_, i) =>
      encodeElement('ip', { set: 'slots-tcp', key: ['10.96.0.1', 80, i], value: ['10.0.0.1', 80], comment: '1' }),
    );
    const messages = elementMessages(0xa0c, 0x400, 'ip', 'tombolo', 'slots-tcp', encoded);
    assert.ok(messages.length > 1 && messages.every(({ length }) => length < 65_536));
    const found = messages.flatMap((bytes) => [...messagesOf(bytes)].flatMap((one) => [...elementsIn(one)]));
    assert.deepEqual(
      found.map((bytes) => decodeElement('ip', 'slots-tcp', bytes)?.key[2]),
      encoded.map((_, i) => i),
    );
  });
});

describe('encodePrefixes()', () => {
  const show = (family: Family, ...cidrs: [string, number][]): string[] =>
    encodePrefixes(
      family,
      cidrs.map(([text, length]) => ({ address: text as IpAddress, length })),
    ).map(
      (bytes) =>
        `${ipFromBytes(bytes.subarray(8, family === 'ip' ? 12 : 24))}${bytes.length % 16 === 4 || bytes.length === 20 ? ' end' : ''}`,
    );

  it('tells where each begins and ends, as nft does', () => {
    assert.deepEqual(show('ip', ['10.1.1.0', 24], ['10.1.0.0', 24], ['10.1.1.128', 25]), [
      '0.0.0.0 end',
      '10.1.0.0',
      '10.1.1.0 end',
      '10.1.1.0',
      '10.1.2.0 end',
    ]);
    assert.deepEqual(show('ip', ['255.0.0.0', 8]), ['0.0.0.0 end', '255.0.0.0']);
    assert.deepEqual(show('ip', ['0.0.0.0', 1]), ['0.0.0.0', '128.0.0.0 end']);
    assert.deepEqual(show('ip', ['fd01::', 64]), []);
  });

  it('marks an end with a flag', () => {
    const [, , end] = encodePrefixes('ip', [{ address: '10.1.0.0' as IpAddress, length: 24 }]);
    assert.deepEqual(end?.subarray(12), attribute(3, 1));
  });
});
