import assert from 'node:assert/strict';
import type { EntryExpectations } from './expectations.ts';
import { decodeService, encodeService, MAX_BACKENDS } from './service.ts';

const expected: EntryExpectations = { cluster: 'west', clusterId: 2, maxClusters: 255, suffix: 'a/x' };

/** As Cilium writes it, with some fields replaced. */
const entry = (fields: Record<string, unknown> = {}): string =>
  JSON.stringify({
    cluster: 'west',
    namespace: 'a',
    name: 'x',
    frontends: { '10.96.7.20': { http: { Protocol: 'TCP', Port: 80 } } },
    backends: { '10.1.3.17': { http: { Protocol: 'TCP', Port: 8080 } } },
    labels: {},
    selector: {},
    includeExternal: true,
    shared: true,
    clusterID: 2,
    ...fields,
  });

const backendsOf = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [
      `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
      { http: { Protocol: 'TCP', Port: 8080 } },
    ]),
  );

function reasonOf(value: string, expectations: EntryExpectations = expected): string {
  const decoded = decodeService(value, expectations);
  assert.ok(!decoded.ok, 'expected it to be refused');
  return decoded.error;
}

describe('decodeService()', () => {
  const same: readonly [string, string][] = [
    ['a plain service', entry()],
    [
      'hostnames and zones',
      entry().replace(
        '"labels"',
        '"hostnames":{"10.1.3.17":"x-0"},"zones":{"10.1.3.17":{"zone":"eu-1a","forZones":[{"name":"eu-1a"}]},"10.1.3.18":{"zone":"","forZones":[]},"10.1.3.19":{"zone":"b","forZones":null}},"labels"',
      ),
    ],
    ['null maps', entry({ frontends: null, backends: null, labels: null, selector: null })],
    ['a headless service', entry({ frontends: {} })],
    ['null ports of an address', entry({ backends: { '10.0.0.1': null } })],
    [
      'unnamed ports, SCTP, ANY and NONE',
      entry({
        backends: {
          '::1': {
            '': { Protocol: 'ANY', Port: 1 },
            a: { Protocol: 'NONE', Port: 2 },
            b: { Protocol: 'SCTP', Port: 3 },
          },
        },
      }),
    ],
    ['escaped text', entry({ labels: { 'a\\u003cb': '\\u0026\\u2028' } }).replaceAll('\\\\u', '\\u')],
    ['a label called __proto__', entry({ labels: JSON.parse('{"__proto__":"x","constructor":"y"}') })],
  ];
  for (const [title, value] of same) {
    it(`keeps ${title} byte for byte`, () => {
      const decoded = decodeService(value, expected);
      assert.ok(decoded.ok, decoded.ok ? '' : decoded.error);
      assert.equal(encodeService(decoded.value), value);
    });
  }

  it('takes absent maps for empty, unknown fields for nothing, and names in any case', () => {
    const decoded = decodeService(
      '{"CLUSTER":"west","Namespace":"a","name":"x","shared":true,"clu\u017fterid":2,"backends":{"10.0.0.1":{"":{"protocol":"TCP","PORT":1}}},"later":{"a":[1.5]}}',
      expected,
    );
    assert.ok(decoded.ok, decoded.ok ? '' : decoded.error);
    assert.deepEqual(decoded.value.labels, new Map());
    assert.deepEqual(decoded.value.backends?.get('10.0.0.1')?.get(''), { protocol: 'TCP', port: 1 });
  });

  const PREFIX = 'Cannot decode service "a/x" from cluster "west": ';
  const port = (value: unknown) => entry({ backends: { '10.0.0.1': { http: { Protocol: 'TCP', Port: value } } } });
  const AT = 'backends["10.0.0.1"]["http"].Port';
  const refused: readonly [string, string, string][] = [
    ['port 0', port(0), `${AT} must be 1-65535: current value is 0`],
    ['port 65536', port(65536), `${AT} must be an integer 0-65535: current value is 65536`],
    ['a fractional port', port(99).replace('99}', '99.0}'), `${AT} must be an integer 0-65535: current value is 99.0`],
    ['a port as text', port('80'), `${AT} must be an integer 0-65535: current value is "80"`],
    ['an absent port', port(undefined), `${AT} must be 1-65535: current value is absent`],
    ['another cluster', entry({ cluster: 'north' }), 'cluster must be "west": current value is "north"'],
    ['no cluster', entry({ cluster: '' }), 'cluster must not be empty'],
    [
      'a null namespace',
      entry({ namespace: null }),
      'namespace must be the name of a Kubernetes object: current value is ""',
    ],
    [
      'a name with a terminal escape',
      entry({ name: 'x\u001b[2J' }),
      'name must be the name of a Kubernetes object: current value is "x\\u001b[2J"',
    ],
    [
      'another name than the key',
      entry({ name: 'y' }),
      'namespace/name must match the key "a/x": current value is "a/y"',
    ],
    ['another id', entry({ clusterID: 3 }), 'clusterID must be 2, as the cluster announced: current value is 3'],
    ['id 0', entry({ clusterID: 0 }), 'clusterID must be 1-255: current value is 0'],
    [
      'a backend with a zone',
      entry({ backends: { 'fe80::1%eth0': {} } }),
      'backends must be IP addresses without zone or cluster id: current value is "fe80::1%eth0"',
    ],
    [
      'a backend with a cluster id',
      entry({ backends: { '10.0.0.1@2': {} } }),
      'backends must be IP addresses without zone or cluster id: current value is "10.0.0.1@2"',
    ],
    [
      'a frontend that is no address',
      entry({ frontends: { web: {} } }),
      'frontends must be IP addresses without zone or cluster id: current value is "web"',
    ],
    ['backends as an array', entry({ backends: [] }), 'backends must be an object: current value is an array'],
    ['shared as text', entry({ shared: 'true' }), 'shared must be true or false: current value is "true"'],
    ['a field in two spellings', entry({ Shared: false }), 'shared must not be given twice'],
    ['an array', '[]', 'value must be an object: current value is an array'],
    [
      'a truncated value',
      entry().slice(0, -1),
      `value must be valid JSON: expected ',' or '}' at offset ${entry().length - 1}: found the end`,
    ],
    [
      'a repeated backend',
      entry().replace('{"10.1.3.17":', '{"10.1.3.17":{},"10.1.3.17":'),
      'keys must not be repeated: "10.1.3.17" is given twice',
    ],
  ];
  for (const [title, value, reason] of refused) {
    it(`refuses ${title}`, () => assert.equal(reasonOf(value), PREFIX + reason));
  }

  it('does not hold the own id of the reader against the range', () => {
    const value = entry({ clusterID: 0 });
    assert.ok(decodeService(value, { ...expected, clusterId: 0, ownId: 0 }).ok);
    assert.match(reasonOf(value, { ...expected, clusterId: 0, ownId: 7 }), /clusterID must be 1-255/);
  });

  it('takes ids up to 511 in a mesh of 511 only', () => {
    const value = entry({ clusterID: 511 });
    assert.ok(decodeService(value, { ...expected, clusterId: 511, maxClusters: 511 }).ok);
    assert.match(reasonOf(value, { ...expected, clusterId: 511 }), /clusterID must be 1-255: current value is 511/);
  });

  it('decodes 20,000 backends', () => {
    const decoded = decodeService(Buffer.from(entry({ backends: backendsOf(20_000) })), expected);
    assert.ok(decoded.ok);
    assert.equal(decoded.value.backends?.size, 20_000);
  });

  it(`refuses more than ${MAX_BACKENDS} backends, and absurd sizes`, () => {
    const many = reasonOf(entry({ backends: backendsOf(65_536) }));
    assert.equal(many, `${PREFIX}backends must be at most 65535: current value is 65536`);
    assert.match(reasonOf(' '.repeat(17 * 1024 * 1024)), /value must be at most 16777216 bytes/);
  });

  it('keeps the reason short whatever the entry holds', () => {
    const long = 'z'.repeat(100_000);
    assert.ok(reasonOf(entry({ name: long })).length < 600);
    assert.ok(reasonOf(entry({ backends: { '10.0.0.1': { [long]: 1 } } })).length < 600);
    assert.ok(reasonOf(entry(), { ...expected, suffix: long }).length < 600);
  });
});
