import assert from 'node:assert/strict';
import type { EntryExpectations } from './expectations.ts';
import { decodeIpEntry, encodeIpEntry, ipEntrySuffix } from './ip-entry.ts';

const expected: EntryExpectations = { cluster: 'east', clusterId: 1, maxClusters: 255, suffix: '10.1.3.17' };
const entry = (fields: Record<string, unknown> = {}): string =>
  JSON.stringify({
    IP: '10.1.3.17',
    Mask: null,
    HostIP: '192.168.1.11',
    ID: 70210,
    Key: 0,
    Metadata: '',
    K8sNamespace: 'shop',
    K8sPodName: 'cart-0',
    K8sServiceAccount: 'default',
    ...fields,
  });

describe('decodeIpEntry()', () => {
  const same: readonly [string, string, string][] = [
    ['a pod', entry(), '10.1.3.17'],
    [
      'a reserved identity without a pod',
      '{"IP":"10.1.3.17","Mask":null,"HostIP":"","ID":1,"Key":3,"Metadata":""}',
      '10.1.3.17',
    ],
    ['an IPv6 address', entry({ IP: 'fd00::1:0:0:2' }), 'fd00::1:0:0:2'],
    ['a prefix', entry({ IP: '10.1.0.0', Mask: '//8AAA==' }), '10.1.0.0/16'],
    ['an IPv6 prefix', entry({ IP: 'fd00::', Mask: '//////////8AAAAAAAAAAA==' }), 'fd00::/64'],
    ['named ports', entry({ NamedPorts: [{ Name: 'http', Port: 8080, Protocol: 'TCP' }] }), '10.1.3.17'],
  ];
  for (const [title, value, suffix] of same) {
    it(`keeps ${title} byte for byte`, () => {
      const decoded = decodeIpEntry(value, { ...expected, suffix });
      assert.ok(decoded.ok, decoded.ok ? '' : decoded.error);
      assert.equal(encodeIpEntry(decoded.value), value);
      assert.equal(ipEntrySuffix(decoded.value), suffix);
    });
  }

  it('takes an entry without Mask and with fields of later versions', () => {
    const decoded = decodeIpEntry(entry({ Mask: undefined, K8sPodUID: 'u' }), expected);
    assert.ok(decoded.ok && decoded.value.prefixLength === undefined);
  });

  const refused: readonly [Record<string, unknown>, string, string][] = [
    [{ IP: '10.1.3.18' }, '10.1.3.17', 'IP must match the key "10.1.3.17": current value is "10.1.3.18"'],
    [{ IP: 'fd00::1' }, 'fd00:0::1', 'IP must match the key "fd00:0::1": current value is "fd00::1"'],
    [
      { IP: '::ffff:10.1.3.17' },
      '::ffff:10.1.3.17',
      'IP must match the key "::ffff:10.1.3.17": current value is "10.1.3.17"',
    ],
    [
      { IP: '10.1.0.0', Mask: '//8AAA==' },
      '10.1.0.0',
      'IP must match the key "10.1.0.0": current value is "10.1.0.0/16"',
    ],
    [{ IP: '' }, '10.1.3.17', 'IP must be an IP address: current value is ""'],
    [{ IP: 5 }, '10.1.3.17', 'IP must be a string: current value is 5'],
    [
      { Mask: '/wD/AA==' },
      '10.1.3.17',
      'Mask must be a canonical mask of 32 bits in base64: current value is "/wD/AA=="',
    ],
    [{ Mask: '' }, '10.1.3.17', 'Mask must be a canonical mask of 32 bits in base64: current value is ""'],
    [{ ID: 131072 }, '10.1.3.17', 'ID must be 65536-131071 or below 256: current value is 131072'],
    [{ ID: 256 }, '10.1.3.17', 'ID must be 65536-131071 or below 256: current value is 256'],
  ];
  for (const [fields, suffix, reason] of refused) {
    it(`refuses ${JSON.stringify(fields)} under ${suffix}`, () => {
      assert.deepEqual(decodeIpEntry(entry(fields), { ...expected, suffix }), {
        ok: false,
        error: `Cannot decode ip entry "${suffix}" from cluster "east": ${reason}`,
      });
    });
  }
});
