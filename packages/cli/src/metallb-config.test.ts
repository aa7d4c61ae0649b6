import assert from 'node:assert/strict';
import { parseAllDocuments } from 'yaml';
import { convertMetallbConfig } from './metallb-config.ts';

const objectsOf = (text: string): readonly unknown[] => {
  const converted = convertMetallbConfig(text);
  assert(converted.ok, converted.ok ? '' : converted.error);
  return parseAllDocuments(converted.value.yaml).map((document) => ('toJS' in document ? document.toJS() : undefined));
};
const problemsOf = (text: string): readonly string[] => {
  const converted = convertMetallbConfig(text);
  assert(!converted.ok);
  return converted.error.split('\n');
};

const L2 = `
address-pools:
- name: my-space
  protocol: layer2
  addresses: [198.51.100.0/24, 192.0.2.10-192.0.2.20]
`;
const pool = (line: string) => `${L2}  ${line}\n`;
const about = (name: string, namespace = 'metallb-system') => ({ name, namespace });

describe('convertMetallbConfig', () => {
  it('makes a pool and who announces it, in the namespace of the ConfigMap', () => {
    const indented = L2.replace(/^/gm, '    ');
    const text = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config, namespace: lb}\ndata:\n  config: |\n${indented}`;
    assert.deepEqual(objectsOf(text), [
      {
        ...{ apiVersion: 'metallb.io/v1beta1', kind: 'IPAddressPool', metadata: about('my-space', 'lb') },
        spec: { addresses: ['198.51.100.0/24', '192.0.2.10-192.0.2.20'] },
      },
      {
        ...{ apiVersion: 'metallb.io/v1beta1', kind: 'L2Advertisement', metadata: about('l2advertisement1', 'lb') },
        spec: { ipAddressPools: ['my-space'] },
      },
    ]);
  });

  it('makes one advertisement for each of a pool’s, and one for a pool of bgp that has none', () => {
    const found = objectsOf(`
bgp-communities: {no-advertise: "65535:65282"}
address-pools:
- {name: a, protocol: bgp, addresses: [192.0.2.0/24], auto-assign: false, avoid-buggy-ips: true}
- name: b
  protocol: bgp
  addresses: [198.51.100.0/24]
  bgp-advertisements:
  - {aggregation-length: 32, localpref: 100, communities: [no-advertise, 64512:1]}
  - {aggregation-length: 24}
`) as readonly { readonly kind: string; readonly metadata: { readonly name: string }; readonly spec: unknown }[];
    assert.deepEqual(
      found.map(({ kind, metadata, spec }) => [kind, metadata.name, spec]),
      [
        ['Community', 'communities', { communities: [{ name: 'no-advertise', value: '65535:65282' }] }],
        ['IPAddressPool', 'a', { addresses: ['192.0.2.0/24'], autoAssign: false, avoidBuggyIPs: true }],
        ['IPAddressPool', 'b', { addresses: ['198.51.100.0/24'] }],
        ['BGPAdvertisement', 'bgpadvertisement1', { ipAddressPools: ['a'] }],
        [
          'BGPAdvertisement',
          'bgpadvertisement2',
          {
            ...{ aggregationLength: 32, localPref: 100, communities: ['no-advertise', '64512:1'] },
            ipAddressPools: ['b'],
          },
        ],
        ['BGPAdvertisement', 'bgpadvertisement3', { aggregationLength: 24, ipAddressPools: ['b'] }],
      ],
    );
  });

  it('tells of names that Kubernetes does not take', () => {
    const converted = convertMetallbConfig(L2.replace('my-space', 'My_Space'));
    assert(converted.ok);
    assert.match(converted.value.yaml, /^ +- my-space$/m);
    assert.deepEqual(converted.value.notes, [
      'config.address-pools[0].name: "My_Space" is called my-space now, also where Services and other objects name it',
    ]);
  });

  for (const [what, text, problem] of [
    ['no map', '- a', 'the file must be a map'],
    ['no YAML', 'a: [', /^the file must be YAML: /],
    ['another object', 'kind: Secret', /^expected a ConfigMap with the key "config"/],
    ['an unknown field', 'pools: []', 'config.pools: there is no such field'],
    [
      'an unknown field of a pool',
      pool('auto-asign: false'),
      'config.address-pools[0].auto-asign: there is no such field',
    ],
    [
      'what has no successor',
      'peer-autodiscovery: {from-labels: []}',
      'config.peer-autodiscovery: MetalLB has no successor to it: write a peer for each router, with node-selectors',
    ],
    [
      'a protocol that nobody speaks',
      L2.replace('layer2', 'l2'),
      'config.address-pools[0].protocol must be layer2 or bgp: current value is "l2"',
    ],
    [
      'routes of a pool that has none',
      pool('bgp-advertisements: [{}]'),
      'config.address-pools[0].bgp-advertisements must be absent, since protocol is layer2',
    ],
    ['a text for a flag', pool('auto-assign: "no"'), /^config\.address-pools\[0\]\.auto-assign must be true or false/],
    [
      'no range',
      L2.replace('192.0.2.10-192.0.2.20', '192.0.2.20'),
      /^config\.address-pools\[0\]: spec\.addresses\[1\] /,
    ],
    ['a peer without a router', 'peers: [{my-asn: 1, peer-asn: 2}]', /^config\.peers\[0\]: spec\.peerAddress must be /],
    [
      'a name that means nothing',
      `${L2.replace('layer2', 'bgp')}  bgp-advertisements: [{communities: [no-export]}]\n`,
      'config.address-pools[0].bgp-advertisements[0].communities[0] must be 65000:1, or a name of bgp-communities: current value is "no-export"',
    ],
    [
      'two of a name',
      `${L2}- {name: my-space, protocol: layer2, addresses: [203.0.113.0/24]}\n`,
      'config.address-pools[1].name: there are two that are called my-space',
    ],
  ] as const) {
    it(`refuses ${what}`, () => {
      const [first = '', ...more] = problemsOf(text);
      if (typeof problem === 'string') assert.equal(first, problem);
      else assert.match(first, problem);
      assert.deepEqual(more, []);
    });
  }

  it('tells all that is wrong at once', () => {
    assert.equal(problemsOf('a: 1\nb: 2\npeers: [{c: 3}]').filter((each) => each.endsWith('no such field')).length, 3);
  });
});
