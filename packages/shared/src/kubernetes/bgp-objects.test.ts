import assert from 'node:assert/strict';
import { ip } from '../model/ip.ts';
import {
  convertBfdProfile,
  convertBgpAdvertisement,
  convertBgpPeer,
  convertCiliumAdvertisement,
  convertCiliumClusterConfig,
  convertCiliumNodeOverride,
  convertCiliumPeerConfig,
  convertCiliumPeeringPolicy,
  convertCommunity,
} from './bgp-objects.ts';
import type { Convert } from './conversion.ts';

const metadata = {
  name: 'x',
  namespace: 'metallb-system',
  labels: { tier: 'a' },
  creationTimestamp: '2026-01-01T00:00:00Z',
};

function read<T>(convert: Convert<T>, spec: object): T {
  const conversion = convert({ metadata, spec });
  assert.equal(conversion.kind, 'value', JSON.stringify(conversion));
  return conversion.value;
}
function refused(convert: Convert<unknown>, spec: object): string {
  const conversion = convert({ metadata, spec });
  assert.equal(conversion.kind, 'refused');
  return conversion.reason;
}

describe('MetalLB’s kinds for BGP', () => {
  const least = { myASN: 65_000, peerASN: 65_001, peerAddress: '192.0.2.1' };

  it('BGPPeer: what is not said has MetalLB’s defaults', () => {
    assert.deepEqual(read(convertBgpPeer, { ...least, peerPort: 0, holdTime: '' }), {
      ...{ name: 'x', nodes: [], myAsn: 65_000, peerAsn: 65_001, address: ip('192.0.2.1'), port: 179 },
      ...{ sourceAddress: undefined, routerId: undefined, password: undefined, passwordSecret: undefined },
      timers: { holdSeconds: undefined, keepaliveSeconds: undefined, connectSeconds: undefined },
      ...{ bfdProfile: undefined, gracefulRestart: false, multihop: false, dualStack: false },
    });
  });

  it('BGPPeer: timers as Go writes them, a Secret of its own namespace, a number that is found out', () => {
    const { peerASN: _, ...rest } = least;
    const peer = read(convertBgpPeer, {
      ...{ ...rest, dynamicASN: 'external', holdTime: '1m30s', keepaliveTime: '30s', connectTime: '5s' },
      passwordSecret: { name: 'tor' },
    });
    assert.equal(peer.peerAsn, 'external');
    assert.deepEqual(peer.timers, { holdSeconds: 90, keepaliveSeconds: 30, connectSeconds: 5 });
    assert.deepEqual(peer.passwordSecret, { namespace: 'metallb-system', name: 'tor' });
  });

  it('BGPPeer: what cannot be is refused by a sentence', () => {
    const cases: readonly [object, RegExp][] = [
      [{ peerAddress: 'router' }, /spec\.peerAddress must be an IP address/],
      [{ myASN: 0 }, /spec\.myASN must be a number of 1-4294967295/],
      [{ holdTime: '1500ms' }, /spec\.holdTime must be whole seconds/],
      [{ holdTime: 'long' }, /spec\.holdTime must be whole seconds/],
      [{ routerID: '10.0.0.1\nend' }, /spec\.routerID must be an IPv4 address/],
      [{ password: 'a\0no router bgp' }, /spec\.password must be 1-80 printable .* "\(not shown\)"/],
      [{ vrf: 'red' }, /spec\.vrf must be absent, since VRFs are not supported/],
      [{ interface: 'eth1' }, /unnumbered peers are not supported/],
    ];
    for (const [more, reason] of cases) assert.match(refused(convertBgpPeer, { ...least, ...more }), reason);
  });

  it('BGPAdvertisement, BFDProfile, Community', () => {
    const { aggregation, localPreference, communities } = read(convertBgpAdvertisement, {
      ...{ aggregationLength: 24, localPref: 0, communities: ['no-export', 'back'] },
    });
    assert.deepEqual([aggregation, localPreference, communities], [{ 4: 24, 6: 128 }, 0, ['no-export', 'back']]);
    assert.equal(read(convertBgpAdvertisement, {}).localPreference, undefined);
    assert.match(refused(convertBgpAdvertisement, { aggregationLength: 33 }), /a number of 1-32/);
    assert.equal(read(convertBfdProfile, { receiveInterval: 50, echoMode: true }).receiveMs, 50);
    assert.match(refused(convertBfdProfile, { detectMultiplier: 1 }), /a number of 2-255/);
    const aliases = read(convertCommunity, { communities: [{ name: 'back', value: '65000:1' }] });
    assert.deepEqual([...aliases], [['back', '65000:1']]);
  });
});

describe('Cilium’s kinds for BGP', () => {
  it('CiliumBGPPeeringPolicy: an address with its length, and Cilium’s defaults', () => {
    const neighbors = [
      { peerAddress: '192.0.2.1/32', peerASN: 65_001, authSecretRef: 'tor', gracefulRestart: { enabled: true } },
    ];
    const { nodes, routers } = read(convertCiliumPeeringPolicy, { virtualRouters: [{ localASN: 65_000, neighbors }] });
    assert.deepEqual(nodes, []);
    assert.deepEqual([routers[0]?.services, routers[0]?.kinds], [undefined, ['LoadBalancerIP']]);
    const [neighbor] = routers[0]?.neighbors ?? [];
    assert.deepEqual([neighbor?.address, neighbor?.port, neighbor?.families], [ip('192.0.2.1'), 179, [4, 6]]);
    assert.deepEqual(neighbor?.passwordSecret, { namespace: 'kube-system', name: 'tor' });
    assert.equal(neighbor?.gracefulRestartSeconds, 120);
    assert.match(
      refused(convertCiliumPeeringPolicy, {
        virtualRouters: [{ localASN: 1, neighbors: [{ peerAddress: 'x', peerASN: 1 }] }],
      }),
      /an address such as/,
    );
  });

  it('CiliumBGPPeerConfig: a family without a selector announces nothing, no families announce nothing in both', () => {
    const families = [
      { afi: 'ipv4', safi: 'unicast', advertisements: {} },
      { afi: 'ipv6', safi: 'unicast' },
      { afi: 'ipv4', safi: 'mpls_label' },
    ];
    assert.deepEqual(read(convertCiliumPeerConfig, { families }).families, [
      { family: 4, advertisements: [] },
      { family: 6, advertisements: undefined },
    ]);
    assert.deepEqual(
      read(convertCiliumPeerConfig, {}).families.map(({ advertisements }) => advertisements),
      [undefined, undefined],
    );
  });

  it('CiliumBGPAdvertisement: Services alone, communities of every kind', () => {
    const conversion = convertCiliumAdvertisement({
      metadata,
      spec: {
        advertisements: [
          { advertisementType: 'PodCIDR' },
          {
            advertisementType: 'Service',
            service: { addresses: ['LoadBalancerIP', 'ClusterIP'], aggregationLengthIPv4: 24 },
            selector: {},
            attributes: {
              communities: { standard: ['65000:1'], wellKnown: ['no-export'], large: ['1:2:3'] },
              localPreference: 99,
            },
          },
        ],
      },
    });
    assert.equal(conversion.kind, 'value');
    assert.match(conversion.warnings.join(), /only advertisementType Service/);
    assert.deepEqual(conversion.value.advertised, [
      {
        ...{ kinds: ['LoadBalancerIP', 'ClusterIP'], services: [], aggregation: { 4: 24 }, localPreference: 99 },
        communities: { standard: ['65000:1', '65535:65281'], large: ['1:2:3'] },
      },
    ]);
  });

  it('CiliumBGPClusterConfig and what is different on a node', () => {
    const peers = [
      { name: 'tor', peerAddress: '192.0.2.1', peerASN: 0, peerConfigRef: { name: 'c' } },
      { name: 'gw', autoDiscovery: {} },
    ];
    const { instances } = read(convertCiliumClusterConfig, { bgpInstances: [{ name: 'i', localASN: 65_000, peers }] });
    assert.deepEqual(instances[0]?.peers, [{ name: 'tor', address: ip('192.0.2.1'), asn: 'any', config: 'c' }]);
    const override = read(convertCiliumNodeOverride, {
      bgpInstances: [{ name: 'i', routerID: '10.0.0.1', peers: [{ name: 'tor', localAddress: '192.0.2.9' }] }],
    });
    assert.deepEqual(override.instances.get('i'), {
      ...{ routerId: '10.0.0.1', port: undefined, localAddresses: new Map([['tor', ip('192.0.2.9')]]) },
    });
  });
});
