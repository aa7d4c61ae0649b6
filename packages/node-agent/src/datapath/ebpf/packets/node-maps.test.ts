import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { cidr, ip } from '@tombolo/shared/model/ip.ts';
import type { NetworkInterface } from '../../netlink/links.ts';
import { NO_NODE_FACTS, type NodeFacts } from '../../node-facts.ts';
import { FLOW_KEY_SIZE, FLOW_SIZE } from './flow-entry.ts';
import { carriesClients, NODE_MAPS, nodeEntries } from './node-maps.ts';

const facts = (more: Partial<NodeFacts>): NodeFacts => ({ ...NO_NODE_FACTS, ...more });
const at = (index: number, address: string) => ({ index, address: ip(address) });

describe('what packet programs know of the node', () => {
  it('its pods, as prefixes of 128 bits', () => {
    const { local_pods } = nodeEntries(facts({ pods: [cidr('10.1.0.0/24'), cidr('fd01::/64')] }), new Set());
    const [v4, v6] = [`78000000${'0'.repeat(20)}ffff0a010000`, `40000000fd01${'0'.repeat(28)}`];
    assert.deepEqual(
      [...local_pods],
      [
        [v4, '01'],
        [v6, '01'],
      ],
    );
  });

  it('its addresses but for loopback, and whether NodePorts are answered there', () => {
    const addresses = new Set(['10.0.0.1', '127.0.0.1', '192.0.2.1', '::1'].map(ip));
    const { node_addresses } = nodeEntries(facts({ addresses, nodePorts: [cidr('192.0.2.0/24')] }), new Set());
    assert.deepEqual(
      [...node_addresses].map(([key, value]) => [key.slice(-8), value]),
      [
        ['0a000001', '00'],
        ['c0000201', '01'],
      ],
    );
  });

  it('who stands for a client where its packets go out: who the Node is known by, else who is there, else whom there is', () => {
    const interfaces = [
      at(2, '10.0.0.9'),
      at(2, '192.0.2.1'),
      at(2, 'fe80::1'),
      at(3, '10.7.0.1'),
      at(3, '10.7.0.2'),
      at(5, '192.0.2.9'),
    ];
    const known = ['192.0.2.1', 'fd00::1'].map(ip);
    const { exits } = nodeEntries(facts({ interfaces, known }), new Set([2, 3, 4]));
    const told = [...exits].map(([key, value]) => {
      const bytes = Buffer.from(key, 'hex');
      return [bytes.readUInt32LE(0), bytes.readUInt32LE(4), value.slice(-8)];
    });
    assert.deepEqual(told, [
      [2, 2, 'c0000201'],
      [2, 10, '00000001'],
      [3, 2, '0a070001'],
      [3, 10, '00000001'],
      [4, 2, 'c0000201'],
      [4, 10, '00000001'],
    ]);
  });

  it('has entries of the sizes that bpf/layout.h gives them', () => {
    const header = readFileSync(new URL('../../../../bpf/layout.h', import.meta.url), 'utf8');
    const sizeOf = (name: string): number => {
      const body = new RegExp(`struct ${name} \\{([^}]*)\\}`).exec(header)?.[1] ?? assert.fail(name);
      const sizes: Readonly<Record<string, number>> = { __u8: 1, __u16: 2, __u32: 4, __u64: 8 };
      const fields = [...body.matchAll(/^\s*(__u\d+) \w+(?:\[(\d+)\])?;/gm)];
      return fields.reduce((sum, [, type = '', count = '1']) => sum + (sizes[type] ?? 0) * Number(count), 0);
    };
    assert.equal(sizeOf('flow_key'), FLOW_KEY_SIZE);
    assert.equal(sizeOf('flow'), FLOW_SIZE);
    assert.equal(sizeOf('prefix_key'), NODE_MAPS.local_pods.keySize);
    assert.equal(sizeOf('address'), NODE_MAPS.node_addresses.keySize);
    assert.equal(sizeOf('exit_key'), NODE_MAPS.exits.keySize);
  });
});

describe('the interfaces of clients and backends', () => {
  const link = (more: Partial<NetworkInterface>): NetworkInterface => ({
    ...{ index: 7, name: 'x', kind: undefined, isLoopback: false, isEthernet: true, isPeerElsewhere: false },
    ...{ isUp: true, hasNeighbors: true, master: undefined, mac: '02:00:00:00:00:01' },
    ...more,
  });
  const addressed = facts({ interfaces: [at(7, '192.0.2.1'), at(1, '127.0.0.1')] });
  const cases: readonly [string, NetworkInterface, NodeFacts, boolean][] = [
    ['an uplink', link({}), addressed, true],
    ['a bridge with an address', link({ kind: 'bridge' }), addressed, true],
    ['loopback', link({ index: 1, isLoopback: true }), addressed, false],
    ['the end of a pod’s link, with no address', link({ kind: 'veth', isPeerElsewhere: true }), NO_NODE_FACTS, true],
    ['a link from the node to itself', link({ kind: 'veth' }), NO_NODE_FACTS, false],
    ['a tunnel', link({ kind: 'wireguard', isEthernet: false }), NO_NODE_FACTS, true],
    ['the port of a bridge or a bond', link({}), NO_NODE_FACTS, false],
    ['with a link-local address only', link({}), facts({ interfaces: [at(7, 'fe80::1')] }), false],
  ];
  for (const [what, candidate, known, expected] of cases) {
    it(`${expected ? '' : 'not '}${what}`, () => assert.equal(carriesClients(candidate, known), expected));
  }
});
