import assert from 'node:assert/strict';
import type { EntryExpectations } from './expectations.ts';
import { decodeNode, encodeNode } from './node.ts';
import { decodeMask, encodeMask } from './prefix.ts';

const expected: EntryExpectations = { cluster: 'east', clusterId: 1, maxClusters: 255, suffix: 'n1' };
const node = (fields: Record<string, unknown> = {}): string =>
  JSON.stringify({
    Name: 'n1',
    Cluster: 'east',
    IPAddresses: [
      { Type: 'InternalIP', IP: '192.168.1.11' },
      { Type: 'CiliumInternalIP', IP: 'fd00::1' },
    ],
    IPv4AllocCIDR: { IP: '10.1.3.0', Mask: '////AA==' },
    IPv4SecondaryAllocCIDRs: null,
    IPv6AllocCIDR: { IP: 'fd00:1::', Mask: '//////////8AAAAAAAAAAA==' },
    IPv6SecondaryAllocCIDRs: [{ IP: 'fd00:2::', Mask: '/////////////////////w==' }],
    IPv4HealthIP: '10.1.3.2',
    IPv6HealthIP: '',
    IPv4IngressIP: '',
    IPv6IngressIP: '',
    ClusterID: 1,
    Source: 'custom-resource',
    EncryptionKey: 0,
    Labels: { 'kubernetes.io/hostname': 'n1' },
    Annotations: null,
    WireguardPubKey: '',
    BootID: '0b0e',
    ...fields,
  });

describe('decodeNode()', () => {
  const same: readonly [string, string][] = [
    ['a full node', node()],
    [
      'null prefixes, addresses and labels',
      node({ IPAddresses: null, IPv4AllocCIDR: null, IPv6AllocCIDR: null, Labels: null }),
    ],
    ['empty maps and lists', node({ IPAddresses: [], Labels: {}, Annotations: {} })],
    ['a prefix with host bits', node({ IPv4AllocCIDR: { IP: '10.1.3.7', Mask: '////AA==' } })],
  ];
  for (const [title, value] of same) {
    it(`keeps ${title} byte for byte`, () => {
      const decoded = decodeNode(value, expected);
      assert.ok(decoded.ok, decoded.ok ? '' : decoded.error);
      assert.equal(encodeNode(decoded.value), value);
    });
  }

  it('takes prefixes as plain text and writes them as objects', () => {
    const text = node({
      IPv4AllocCIDR: '10.1.3.0/24',
      IPv6AllocCIDR: 'fd00:1::/64',
      IPv6SecondaryAllocCIDRs: ['fd00:2::/128'],
    });
    const decoded = decodeNode(text, expected);
    assert.ok(decoded.ok, decoded.ok ? '' : decoded.error);
    assert.equal(encodeNode(decoded.value), node());
    assert.deepEqual(decoded.value.ipv6SecondaryAllocCidrs, [{ address: 'fd00:2::', length: 128 }]);
  });

  const refused: readonly [Record<string, unknown>, string][] = [
    [{ Name: '' }, 'Name must not be empty'],
    [{ Name: 'n2' }, 'Name must match the key "n1": current value is "n2"'],
    [{ Cluster: 'west' }, 'Cluster must be "east": current value is "west"'],
    [{ ClusterID: 2 }, 'ClusterID must be 1, as the cluster announced: current value is 2'],
    [
      { IPv4AllocCIDR: { IP: '10.1.3.0', Mask: '/wD/AA==' } },
      'IPv4AllocCIDR.Mask must be a canonical mask of 32 bits in base64: current value is "/wD/AA=="',
    ],
    [
      { IPv6AllocCIDR: { IP: 'fd00::', Mask: '////AA==' } },
      'IPv6AllocCIDR.Mask must be a canonical mask of 128 bits in base64: current value is "////AA=="',
    ],
    [
      { IPv4AllocCIDR: { IP: '10.1.3.0' } },
      'IPv4AllocCIDR.Mask must be a canonical mask of 32 bits in base64: current value is absent',
    ],
    [{ IPv4AllocCIDR: {} }, 'IPv4AllocCIDR must have an address in IP: current value is absent'],
    [
      { IPv4AllocCIDR: '10.1.3.0/33' },
      'IPv4AllocCIDR must be a prefix such as 10.1.0.0/24: current value is "10.1.3.0/33"',
    ],
    ...['10.1.3.0', '/24', '10.1.3.0/', '10.1.3.0/024', '10.1.3.0/24x', '10.1.3.0/x24'].map(
      (text): [Record<string, unknown>, string] => [
        { IPv4AllocCIDR: text },
        `IPv4AllocCIDR must be a prefix such as 10.1.0.0/24: current value is "${text}"`,
      ],
    ),
    [{ IPv4AllocCIDR: 7 }, 'IPv4AllocCIDR must be an object: current value is 7'],
    [
      { IPAddresses: [{ Type: 'InternalIP', IP: 'x' }] },
      'IPAddresses[0].IP must be an IP address: current value is "x"',
    ],
    [{ EncryptionKey: 256 }, 'EncryptionKey must be an integer 0-255: current value is 256'],
  ];
  for (const [fields, reason] of refused) {
    it(`refuses ${JSON.stringify(fields)}`, () => {
      assert.deepEqual(decodeNode(node(fields), expected), {
        ok: false,
        error: `Cannot decode node "n1" from cluster "east": ${reason}`,
      });
    });
  }

  it('masks of every length survive', () => {
    for (const bits of [32, 128]) {
      for (let length = 0; length <= bits; length++) assert.equal(decodeMask(encodeMask(length, bits), bits), length);
    }
    assert.equal(encodeMask(20, 32), '///wAA==');
  });
});
