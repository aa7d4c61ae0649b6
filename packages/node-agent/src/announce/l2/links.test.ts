import assert from 'node:assert/strict';
import type { NetworkInterface } from '../../datapath/netlink/links.ts';
import { advertisement } from './advertisement.fixture.ts';
import { MOST_LINKS } from './heartbeat.ts';
import { couldAnswer, linkLocalsIn, toldLinks } from './links.ts';

const link = (more: Partial<NetworkInterface>): NetworkInterface => ({
  ...{ index: 2, name: 'eth0', kind: undefined, isLoopback: false, isEthernet: true, isPeerElsewhere: false },
  ...{ isUp: true, hasNeighbors: true, master: undefined, mac: '02:00:5e:00:53:01' },
  ...more,
});
const MASTERS = [link({ index: 8, name: 'br0', kind: 'bridge' }), link({ index: 9, name: 'red', kind: 'vrf' })];

describe('interfaces at which a node could answer', () => {
  const cases: readonly [string, NetworkInterface, boolean][] = [
    ['a network card', link({}), true],
    ['one that is down, or connected to nothing', link({ isUp: false }), false],
    ['a bridge, a bond, a VLAN', link({ name: 'vlan7', kind: 'vlan' }), true],
    ['the port of a bridge', link({ master: 8 }), false],
    ['one in a VRF', link({ master: 9 }), true],
    ['loopback', link({ name: 'lo', isLoopback: true, isEthernet: false, mac: '' }), false],
    ['a tunnel', link({ name: 'tunnel0', kind: 'vxlan' }), false],
    ['what asks nobody (NOARP)', link({ hasNeighbors: false }), false],
    ['the end of a pod’s link', link({ name: 'veth1234', kind: 'veth', isPeerElsewhere: true }), false],
    ['a namespace’s way out that is called as a card is', link({ kind: 'veth', isPeerElsewhere: true }), true],
    ['the bridge of a CNI', link({ name: 'cni0', kind: 'bridge' }), false],
  ];
  for (const [what, each, expected] of cases)
    it(`${expected ? 'are' : 'are not'}: ${what}`, () => assert.equal(couldAnswer(each, [...MASTERS, each]), expected));
});

describe('interfaces of which others are told', () => {
  const links = Array.from({ length: 20 }, (_, i) => ({ index: i + 2, name: `vlan${i}`, mac: '02:00:5e:00:53:01' }));
  const names = (told: readonly { readonly name: string }[]) => told.map(({ name }) => name);

  it('are all, where there is room', () => {
    const few = links.slice(0, MOST_LINKS);
    assert.equal(toldLinks(few, []), few);
  });

  it('are those first that an advertisement names', () => {
    const ads = [
      advertisement({ interfaces: [{ name: 'vlan17' }] }),
      advertisement({ interfaces: [{ name: 'vlan12' }] }),
    ];
    const told = names(toldLinks(links, ads));
    assert.deepEqual(told.slice(0, 3), ['vlan12', 'vlan17', 'vlan0']);
    assert.equal(told.length, MOST_LINKS);
  });
});

describe('linkLocalsIn()', () => {
  it('reads the kernel’s list: the first usable one of each interface', () => {
    const text = [
      '00000000000000000000000000000001 01 80 10 80       lo',
      'fe80000000000000d0a1b2fffec3d4e5 02 40 20 80     eth0',
      'fe800000000000000000000000000002 02 40 20 80     eth0',
      'fd000000000000000000000000010001 02 40 00 80     eth0',
      'fe800000000000000000000000000003 0a 40 20 c0     eth1',
      '',
    ].join('\n');
    assert.deepEqual([...linkLocalsIn(text)], [[2, 'fe80::d0a1:b2ff:fec3:d4e5']]);
    assert.deepEqual([...linkLocalsIn('')], []);
  });
});
