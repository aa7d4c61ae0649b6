import assert from 'node:assert/strict';
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { formatAnnounced, formatAnnouncers, formatRoutes } from './announcements-view.ts';
import { plain } from './table.ts';

const lines = (text: string): readonly string[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().replace(/ {2,}/g, ' | '));

const address: api.AnnouncedAddress = {
  ...{
    address: '192.0.2.1',
    services: ['shop/cart'],
    kind: 'LoadBalancer',
    obstacle: '',
    anycast: false,
    remoteOnly: '',
  },
  layer2: { owner: 'n1', obstacle: '', next: 'n2', answeredHere: true, problem: '' },
  bgp: [{ peer: '10.0.0.1', prefix: '192.0.2.1/32', communities: ['65000:1'], localPreference: '200', prepends: 0 }],
};

describe('tombolo lb', () => {
  it('services: who answers, where it is told, and why not', () => {
    const silent: api.AnnouncedAddress = {
      ...{ ...address, address: '192.0.2.2', bgp: [] },
      layer2: { owner: '', obstacle: 'noNode', next: '', answeredHere: false, problem: '' },
    };
    const taken: api.AnnouncedAddress = {
      ...{ ...address, address: '192.0.2.3', services: ['shop/a', 'shop/b'], bgp: [], obstacle: 'noLocalEndpoints' },
      layer2: { owner: 'n2', obstacle: '', next: 'n1', answeredHere: false, problem: 'a stranger has it' },
    };
    const plainOne: api.AnnouncedAddress = {
      ...address,
      address: '192.0.2.4',
      layer2: null,
      obstacle: 'noEndpoints',
      bgp: [],
    };
    assert.deepEqual(lines(formatAnnounced([address, silent, taken, plainOne], 0, plain)), [
      'ADDRESS | SERVICES | KIND | ANSWERED BY | NEXT | BGP PEERS | REMARK',
      '192.0.2.1 | shop/cart | LoadBalancer | n1 (here) | n2 | 10.0.0.1 | -',
      '192.0.2.2 | shop/cart | LoadBalancer | - | - | - | noNode',
      '192.0.2.3 | shop/a,shop/b | LoadBalancer | n2 | n1 | - | a stranger has it',
      '192.0.2.4 | shop/cart | LoadBalancer | - | - | - | noEndpoints',
    ]);
    const elsewhere = { ...address, anycast: true, remoteOnly: 'lower-preference' };
    assert.equal(
      lines(formatAnnounced([elsewhere], 0, plain))[1],
      '192.0.2.1 | shop/cart | LoadBalancer, anycast | n1 (here) | n2 | 10.0.0.1 | backends in other clusters only: less preferred',
    );
    assert.match(formatAnnounced([], 0, plain), /^No addresses/);
  });

  it('routes: what is told to whom', () => {
    assert.deepEqual(lines(formatRoutes([address], 0, plain)), [
      'PREFIX | PEER | COMMUNITIES | PREFERENCE | SERVICES',
      '192.0.2.1/32 | 10.0.0.1 | 65000:1 | 200 | shop/cart',
    ]);
    const [route] = address.bgp;
    const long = { ...address, bgp: route ? [{ ...route, localPreference: '', prepends: 3 }] : [] };
    assert.match(formatRoutes([long], 0, plain), /path \+3/);
    assert.equal(formatRoutes([], 0, plain), 'No routes\n');
  });

  it('peers: agents, routers, and what is wrong', () => {
    const shown = formatAnnouncers(
      {
        speakers: [{ node: 'n2', ready: true, heard: false, interfaces: ['eth0', 'eth1'] }],
        bgpPeers: [
          {
            ...{ address: '10.0.0.1', asn: '65000', source: 'BGPPeer tor', state: 'Established', upMs: 90_000 },
            ...{ prefixes: 3, trouble: 'another program speaks to it' },
          },
        ],
        problems: ['a stranger has 192.0.2.3'],
      },
      0,
      plain,
    );
    assert.deepEqual(lines(shown), [
      'Agents that answer ARP and NDP',
      'NODE | READY | HEARD | INTERFACES',
      'n2 | yes | by others | eth0,eth1',
      '',
      'Routers by BGP',
      'PEER | AS | STATE | UP | PREFIXES | ASKED FOR BY | REMARK',
      '10.0.0.1 | 65000 | Established | 90s | 3 | BGPPeer tor | another program speaks to it',
      '',
      'a stranger has 192.0.2.3',
    ]);
    const none = formatAnnouncers({ speakers: [], bgpPeers: [], problems: [] }, 0, plain);
    assert.deepEqual(lines(none), ['No other agent answers ARP and NDP', '', 'No routers by BGP']);
  });
});
