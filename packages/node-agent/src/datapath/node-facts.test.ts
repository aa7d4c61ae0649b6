import assert from 'node:assert/strict';
import { cidr, formatCidr, ip } from '@tombolo/shared/model/ip.ts';
import { type NodeSources, nodeFacts } from './node-facts.ts';

describe('nodeFacts()', () => {
  const sources: NodeSources = {
    addresses: [ip('192.0.2.1'), ip('fd00::1')],
    podCidrs: [cidr('10.1.0.0/24')],
    pods: [ip('172.16.9.9'), ip('10.1.0.7'), ip('172.16.1.1'), ip('fd01::2')],
    interfaces: [
      { index: 1, address: ip('127.0.0.1') },
      { index: 7, address: ip('fd00::1') },
      { index: 2, address: ip('192.0.2.1') },
      { index: 2, address: ip('fd00::1') },
      { index: 3, address: ip('10.1.0.1') },
    ],
    nodePortAddresses: 'all',
  };

  it('knows pods whose addresses the Node does not have a prefix for', () => {
    assert.deepEqual(nodeFacts(sources).pods.map(formatCidr), [
      '10.1.0.0/24',
      '172.16.1.1/32',
      '172.16.9.9/32',
      'fd01::2/128',
    ]);
  });

  it('takes the interfaces with the addresses of the Node for the way out, each once', () => {
    const { uplinks, addresses } = nodeFacts(sources);
    assert.deepEqual(
      [uplinks, [...addresses]],
      [
        [2, 7],
        ['10.1.0.1', '127.0.0.1', '192.0.2.1', 'fd00::1'],
      ],
    );
  });

  for (const [given, expected] of [
    ['all', ['0.0.0.0/0', '::/0']],
    ['primary', ['192.0.2.1/32', 'fd00::1/128']],
    [[cidr('10.1.0.0/16')], ['10.1.0.0/16']],
  ] as const) {
    it(`answers NodePorts on ${given === 'all' || given === 'primary' ? given : 'given prefixes'}`, () => {
      assert.deepEqual(nodeFacts({ ...sources, nodePortAddresses: given }).nodePorts.map(formatCidr), expected);
    });
  }

  it('is the same object while nothing differs, in whatever order it is told', () => {
    const before = nodeFacts(sources);
    const { pods, interfaces } = sources;
    assert.equal(
      nodeFacts({ ...sources, pods: pods.toReversed(), interfaces: interfaces.toReversed() }, before),
      before,
    );
    assert.notEqual(nodeFacts({ ...sources, pods: pods.slice(1) }, before), before);
  });
});
