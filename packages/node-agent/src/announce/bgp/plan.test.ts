import assert from 'node:assert/strict';
import type { BgpAdvertisement, BgpPeer, CiliumClusterConfig, CiliumPeeringPolicy } from '@tombolo/shared/model/bgp.ts';
import { formatCidr, type IpAddress, ip } from '@tombolo/shared/model/ip.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import fc from 'fast-check';
import type { ServiceAddress } from '../service-address.ts';
import { type BgpIntent, type BgpResources, peersByService, planBgp } from './plan.ts';

const NODE = { name: 'n1', labels: { rack: '1' } };
const NOTHING: BgpResources = {
  ...{ peers: [], advertisements: [], bfdProfiles: [], aliases: new Map(), policies: [], clusterConfigs: [] },
  ...{ peerConfigs: new Map(), ciliumAdvertisements: [], overrides: [], passwords: new Map() },
};
const rack = (value: string) => [{ key: 'rack', operator: 'In' as const, values: [value] }];

const peer = (name: string, address: string, more: Partial<BgpPeer> = {}): BgpPeer => ({
  ...{ name, nodes: [], myAsn: 65_000, peerAsn: 65_001, address: ip(address), port: 179, timers: {} },
  ...{ gracefulRestart: false, multihop: false, dualStack: false },
  ...more,
});
const advertisement = (more: Partial<BgpAdvertisement> = {}): BgpAdvertisement => ({
  ...{ name: 'all', pools: { names: [], labels: [] }, services: [], nodes: [], peers: [], communities: [] },
  aggregation: { 4: 32, 6: 128 },
  ...more,
});
const address = (text: string, more: Partial<ServiceAddress> = {}): ServiceAddress => ({
  ...{ service: serviceKey('shop', 'cart'), labels: {}, kind: 'LoadBalancer', address: ip(text), policy: 'Cluster' },
  ...{
    loadBalancerClass: '',
    isShared: false,
    pools: [{ product: 'metallb', name: 'wan', labels: { tier: 'front' } }],
  },
  ...{ servingNodes: new Set<string>(), isServed: true, obstacle: undefined },
  ...{ drains: false, anycast: false, remoteOnly: undefined },
  ...more,
});

const plan = (
  resources: Partial<BgpResources>,
  addresses: readonly ServiceAddress[] = [address('192.0.2.1')],
): BgpIntent => planBgp({ ...NOTHING, ...resources }, NODE, addresses);
const told = ({ neighbors }: BgpIntent) =>
  Object.fromEntries(neighbors.map(({ address: to, routes }) => [to, [...routes.keys()].sort()]));

describe('what is said by BGP, of MetalLB’s kinds', () => {
  it('goes to every peer of this node, or to those that are named', () => {
    const peers = [
      peer('a', '10.0.0.1'),
      peer('b', '10.0.0.2', { nodes: [rack('1')] }),
      peer('c', '10.0.0.3', { nodes: [rack('2')] }),
    ];
    assert.deepEqual(told(plan({ peers, advertisements: [advertisement()] })), {
      '10.0.0.1': ['192.0.2.1/32'],
      '10.0.0.2': ['192.0.2.1/32'],
    });
    const named = plan({ peers, advertisements: [advertisement({ peers: ['b', 'gone'] })] });
    assert.deepEqual(told(named), { '10.0.0.1': [], '10.0.0.2': ['192.0.2.1/32'] });
    assert.deepEqual(named.problems, ['BGPAdvertisement all: there is no BGPPeer gone']);
  });

  it('is nothing without an advertisement, of other pools, of other kinds, or with an obstacle', () => {
    const peers = [peer('a', '10.0.0.1')];
    const none = { '10.0.0.1': [] };
    assert.deepEqual(told(plan({ peers })), none);
    const others = [advertisement({ pools: { names: ['lan'], labels: [] } }), advertisement({ nodes: [rack('2')] })];
    assert.deepEqual(told(plan({ peers, advertisements: others })), none);
    const all = { peers, advertisements: [advertisement()] };
    const unfit = [
      address('192.0.2.1', { obstacle: 'noLocalEndpoints' }),
      address('192.0.2.2', { kind: 'ExternalIP' }),
      address('192.0.2.3', { pools: [{ product: 'cilium', name: 'wan', labels: {} }] }),
    ];
    assert.deepEqual(told(plan(all, unfit)), none);
  });

  it('is of the family of the session, or of both', () => {
    const both = [address('192.0.2.1'), address('2001:db8::1')];
    const peers = [peer('a', '10.0.0.1'), peer('b', 'fd00::2'), peer('c', '10.0.0.3', { dualStack: true })];
    assert.deepEqual(told(plan({ peers, advertisements: [advertisement()] }, both)), {
      '10.0.0.1': ['192.0.2.1/32'],
      '10.0.0.3': ['192.0.2.1/32', '2001:db8::1/128'],
      'fd00::2': ['2001:db8::1/128'],
    });
  });

  it('is told as of the Services that it is for, by the names of their peers, alone or within a prefix', () => {
    const [cart, till] = [address('192.0.2.1'), address('192.0.2.1', { service: serviceKey('shop', 'till') })];
    const other = address('192.0.2.9', { service: serviceKey('shop', 'other') });
    const silent = address('192.0.2.10', { service: serviceKey('shop', 'silent'), obstacle: 'noEndpoints' });
    const peers = [peer('b', '10.0.0.1'), peer('a', '10.0.0.2')];
    const advertisements = [
      advertisement({ aggregation: { 4: 24, 6: 128 } }),
      advertisement({ name: 'more', peers: ['a'] }),
    ];
    assert.deepEqual(
      [...peersByService(plan({ peers, advertisements }, [cart, till, other, silent]))].sort(),
      ['cart', 'other', 'till'].map((name) => [serviceKey('shop', name), ['a', 'b']]),
    );
  });

  it('is less preferred where the Service wants it while other clusters alone have backends', () => {
    const low = { remoteOnly: 'lower-preference' } as const;
    const peers = [
      peer('in', '10.0.0.1', { peerAsn: 65_000 }),
      peer('in-other', '10.0.0.2', { peerAsn: 65_100, myAsn: 65_100 }),
      peer('out', '10.0.0.3'),
    ];
    const shared = address('192.0.2.2', { service: serviceKey('shop', 'full') });
    const [lone, both] = [address('192.0.2.1', low), address('192.0.2.2', low)];
    for (const sharing of [
      [both, shared],
      [shared, both],
    ]) {
      const advertisements = [advertisement({ localPreference: 300 })];
      const { neighbors } = plan({ peers, advertisements }, [lone, ...sharing]);
      const attributes = neighbors.map(({ address: to, routes }) => [
        to,
        ...[...routes.values()].flatMap(({ localPreference, prepends }) => [localPreference, prepends]),
      ]);
      assert.deepEqual(attributes, [
        ['10.0.0.1', 1, 0, 300, 0],
        ['10.0.0.2', 1, 0, 300, 0],
        ['10.0.0.3', 300, 3, 300, 0],
      ]);
    }
  });

  it('goes on as the last resort where nothing but the exclusion of the node is against it', () => {
    const resources = { peers: [peer('a', '10.0.0.1')], advertisements: [advertisement()] };
    const addresses = [
      address('192.0.2.1', { obstacle: 'nodeExcluded', drains: true }),
      address('192.0.2.2', { obstacle: 'nodeExcluded' }),
    ];
    for (const [stay, prefixes] of [
      ['full', []],
      ['last resort', ['192.0.2.1/32']],
      ['gone', []],
    ] as const) {
      const intent = planBgp({ ...NOTHING, ...resources }, NODE, addresses, stay);
      assert.deepEqual(told(intent), { '10.0.0.1': prefixes });
      assert.equal(intent.instance?.isLastResort, stay === 'last resort');
    }
  });

  it('is aggregated, but under policy Local', () => {
    const resources = {
      peers: [peer('a', '10.0.0.1')],
      advertisements: [advertisement({ aggregation: { 4: 24, 6: 64 } })],
    };
    const addresses = [address('192.0.2.1'), address('192.0.2.2'), address('198.51.100.1', { policy: 'Local' })];
    assert.deepEqual(told(plan(resources, addresses)), { '10.0.0.1': ['192.0.2.0/24', '198.51.100.1/32'] });
  });

  it('unites communities and takes the highest preference, where one prefix comes from several', () => {
    const advertisements = [
      advertisement({ name: 'x', communities: ['65000:20', 'far'], localPreference: 100 }),
      advertisement({ name: 'y', communities: ['65000:3', 'no-export', 'large:1:2:3'], localPreference: 300 }),
    ];
    const { neighbors, problems } = plan({
      ...{ peers: [peer('a', '10.0.0.1')], advertisements, aliases: new Map([['far', '65000:9']]) },
    });
    assert.deepEqual(neighbors[0]?.routes.get('192.0.2.1/32'), {
      prefix: { address: ip('192.0.2.1'), length: 32 },
      communities: ['65000:3', '65000:9', '65000:20', '65535:65281'],
      largeCommunities: ['1:2:3'],
      localPreference: 300,
      prepends: 0,
      addresses: new Map([[ip('192.0.2.1'), new Set([serviceKey('shop', 'cart')])]]),
    });
    assert.match(problems.join(), /local preferences for 192\.0\.2\.1\/32 \(shop\/cart\) differ/);
  });

  it('does without what it lacks, and says so', () => {
    const cases: readonly [Partial<BgpResources>, RegExp, object][] = [
      [
        { advertisements: [advertisement({ communities: ['near'] })] },
        /nothing is known of community near/,
        { '10.0.0.1': [] },
      ],
      [{ peers: [peer('a', '10.0.0.1', { bfdProfile: 'fast' })] }, /without BFD/, { '10.0.0.1': ['192.0.2.1/32'] }],
      [
        { peers: [peer('a', '10.0.0.1', { passwordSecret: { namespace: 'm', name: 's' } }), peer('b', '10.0.0.2')] },
        /BGPPeer a: not used, since Secret m\/s has no password/,
        { '10.0.0.2': ['192.0.2.1/32'] },
      ],
      [
        {
          peers: [peer('a', '10.0.0.1', { passwordSecret: { namespace: 'm', name: 's' } })],
          passwords: new Map([['m/s', 'x\0no router bgp 65000']]),
        },
        /BGPPeer a: not used, since its password is not/,
        {},
      ],
      [
        { peers: [peer('a', '10.0.0.1'), peer('b', '10.0.0.1', { peerAsn: 65_002 })] },
        /BGPPeer b: not used, since BGPPeer a speaks to 10\.0\.0\.1 already/,
        { '10.0.0.1': ['192.0.2.1/32'] },
      ],
    ];
    for (const [resources, problem, expected] of cases) {
      const intent = plan({ peers: [peer('a', '10.0.0.1')], advertisements: [advertisement()], ...resources });
      assert.match(intent.problems.join('\n'), problem);
      assert.deepEqual(told(intent), expected);
    }
  });

  it('is said under another number of ours to those who want it so', () => {
    const peers = [peer('a', '10.0.0.1'), peer('b', '10.0.0.2', { myAsn: 65_100, routerId: '10.9.9.9' })];
    const { instance, neighbors } = plan({ peers });
    assert.deepEqual(instance, { asn: 65_000, routerId: '10.9.9.9', port: undefined, isLastResort: false });
    assert.deepEqual(
      neighbors.map(({ localAsn }) => localAsn),
      [undefined, 65_100],
    );
  });
});

describe('what is said by BGP, of Cilium’s kinds', () => {
  const policy = (name: string, more: Partial<CiliumPeeringPolicy['routers'][0]> = {}): CiliumPeeringPolicy => ({
    ...{ name, nodes: rack('1') },
    routers: [
      {
        ...{ asn: 65_000, services: [], kinds: ['LoadBalancerIP'] },
        neighbors: [
          {
            ...{ address: ip('10.0.0.1'), asn: 65_001, port: 179, timers: {}, multihopTtl: 1, families: [4, 6] },
            communities: { standard: ['65000:1'], large: [] },
          },
        ],
        ...more,
      },
    ],
  });
  const config = (name: string, createdAt: string, to: IpAddress): CiliumClusterConfig => ({
    ...{ name, createdAt, nodes: [] },
    instances: [
      { name: 'i', asn: 65_000, port: undefined, peers: [{ name: 'tor', address: to, asn: 65_001, config: 'peer' }] },
    ],
  });
  const peerConfigs = new Map([
    ['peer', { port: 179, timers: {}, multihopTtl: 1, families: [{ family: 4 as const, advertisements: rack('a') }] }],
  ]);
  const services = (selector: ReturnType<typeof rack> | undefined) => ({
    name: 'ad',
    labels: { rack: 'a' },
    advertised: [
      {
        kinds: ['LoadBalancerIP' as const],
        services: selector,
        aggregation: {},
        communities: { standard: [], large: [] },
      },
    ],
  });

  it('are the addresses of Services that the policy selects, of any pool or none', () => {
    const all = [
      address('192.0.2.1', { pools: [] }),
      address('2001:db8::1'),
      address('10.96.0.1', { kind: 'ClusterIP' }),
    ];
    assert.deepEqual(told(plan({ policies: [policy('p')] }, all)), { '10.0.0.1': ['192.0.2.1/32', '2001:db8::1/128'] });
    assert.deepEqual(told(plan({ policies: [policy('p', { services: undefined })] }, all)), { '10.0.0.1': [] });
    const named = [{ key: 'io.kubernetes.service.name', operator: 'In' as const, values: ['web'] }];
    assert.deepEqual(told(plan({ policies: [policy('p', { services: named })] }, all)), { '10.0.0.1': [] });
  });

  it('are nothing where two policies select the node; one goes before the newer kinds', () => {
    const clusterConfigs = [config('c', '1', ip('10.0.0.9'))];
    const two = plan({ policies: [policy('p'), policy('q')], clusterConfigs, peerConfigs });
    assert.deepEqual([two.instance, two.neighbors], [undefined, []]);
    assert.match(two.problems.join(), /p and q: not used, since several select node n1/);
    const one = plan({ policies: [policy('p')], clusterConfigs, peerConfigs });
    assert.deepEqual(Object.keys(told(one)), ['10.0.0.1']);
    assert.match(one.problems.join(), /CiliumBGPClusterConfig c: not used here/);
  });

  it('need an advertisement that the peer’s configuration selects, with a selector', () => {
    const clusterConfigs = [config('c', '1', ip('10.0.0.9'))];
    const of = (ad: ReturnType<typeof services> | undefined, configs = peerConfigs) =>
      plan({ clusterConfigs, peerConfigs: configs, ciliumAdvertisements: ad ? [ad] : [] });
    assert.deepEqual(told(of(services([]))), { '10.0.0.9': ['192.0.2.1/32'] });
    assert.deepEqual(told(of(services(undefined))), { '10.0.0.9': [] });
    assert.deepEqual(told(of(undefined)), { '10.0.0.9': [] });
    const missing = of(services([]), new Map());
    assert.deepEqual(told(missing), {});
    assert.match(missing.problems.join(), /there is no CiliumBGPPeerConfig peer/);
  });

  it('are the older’s of two cluster configurations', () => {
    const clusterConfigs = [config('new', '2', ip('10.0.0.8')), config('old', '1', ip('10.0.0.9'))];
    const intent = plan({ clusterConfigs, peerConfigs, ciliumAdvertisements: [services([])] });
    assert.deepEqual(Object.keys(told(intent)), ['10.0.0.9']);
    assert.match(intent.problems.join(), /new: not used here, since old selects this node, too, and is older/);
  });
});

describe('what is said by BGP', () => {
  const anyAddress = fc
    .record({
      last: fc.integer({ min: 1, max: 6 }),
      policy: fc.constantFrom('Cluster' as const, 'Local' as const),
      vip: fc.boolean(),
    })
    .map(({ last, policy, vip }) => address(`192.0.2.${last}`, { policy, labels: vip ? { vip: '1' } : {} }));
  const anyPeer = fc
    .record({
      n: fc.integer({ min: 1, max: 4 }),
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      asn: fc.constantFrom(65_000, 65_100),
    })
    .map(({ n, name, asn }) => peer(name, `10.0.0.${n}`, { myAsn: asn }));
  const anyAd = fc
    .record({
      ...{ name: fc.constantFrom('x', 'y', 'z'), length: fc.constantFrom(24, 32), peers: fc.subarray(['a', 'b']) },
      ...{ communities: fc.subarray(['65000:1', '65000:2', 'unknown']), onlyVip: fc.boolean() },
    })
    .map(({ name, length, peers, communities, onlyVip }) =>
      advertisement({
        ...{ name, peers, communities, aggregation: { 4: length, 6: 128 } },
        services: onlyVip ? [[{ key: 'vip', operator: 'Exists', values: [] }]] : [],
      }),
    );
  const anyWorld = fc.record({
    peers: fc.uniqueArray(anyPeer, { selector: ({ name }) => name }),
    advertisements: fc.uniqueArray(anyAd, { selector: ({ name }) => name }),
    addresses: fc.array(anyAddress, { maxLength: 6 }),
  });

  it('is the same in whatever order all is told', () => {
    fc.assert(
      fc.property(anyWorld, ({ peers, advertisements, addresses }) => {
        const plain = plan({ peers, advertisements }, addresses);
        const turned = plan(
          { peers: peers.toReversed(), advertisements: advertisements.toReversed() },
          addresses.toReversed(),
        );
        assert.deepEqual(turned.instance, plain.instance);
        assert.deepEqual(told(turned), told(plain));
        const attributes = ({ neighbors }: BgpIntent) =>
          neighbors.map(({ routes }) => [...routes.values()].map((each) => [formatCidr(each.prefix), each]).sort());
        assert.deepEqual(attributes(turned), attributes(plain));
      }),
    );
  });

  it('is what a naive reading of the objects gives', () => {
    fc.assert(
      fc.property(anyWorld, ({ peers, advertisements, addresses }) => {
        const intent = plan({ peers, advertisements }, addresses);
        const used = [...peers]
          .sort((a, b) => (a.name < b.name ? -1 : 1))
          .filter((each, i, all) => all.findIndex((other) => other.address === each.address) === i);
        const expected = used.map((each) => {
          const prefixes = advertisements
            .filter(
              (ad) => !ad.communities.includes('unknown') && (ad.peers.length === 0 || ad.peers.includes(each.name)),
            )
            .flatMap((ad) =>
              addresses
                .filter(({ labels }) => ad.services.length === 0 || 'vip' in labels)
                .map((one) =>
                  one.policy === 'Local' || ad.aggregation[4] === 32 ? `${one.address}/32` : '192.0.2.0/24',
                ),
            );
          return [each.address, [...new Set(prefixes)].sort()] as const;
        });
        assert.deepEqual(told(intent), Object.fromEntries(expected));
      }),
    );
  });
});
