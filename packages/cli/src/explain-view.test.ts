import assert from 'node:assert/strict';
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { convertCiliumPool, convertMetallbPool } from '@tombolo/shared/kubernetes/address-pool-objects.ts';
import type { Collection } from '@tombolo/shared/kubernetes/collection.ts';
import type { Json } from '@tombolo/shared/kubernetes/json.ts';
import { convertLoadBalancerService } from '@tombolo/shared/kubernetes/load-balancer-object.ts';
import { poolObjects, type ReadPool } from '@tombolo/shared/kubernetes/pool-object.ts';
import type { AddressPool } from '@tombolo/shared/model/address-pool.ts';
import type { AddressFacts } from './address-facts.ts';
import { type Announced, explain, formatExplanation } from './explain-view.ts';
import { formatPools, summarisePools } from './pools-view.ts';
import { plain } from './table.ts';

const CILIUM: Collection<AddressPool> = { path: '/apis/cilium.io/v2/pools', convert: convertCiliumPool };
const METALLB: Collection<AddressPool> = { path: '/apis/metallb.io/v1beta1/pools', convert: convertMetallbPool };

function poolOf(
  collection: Collection<AddressPool>,
  name: string,
  spec: object,
  status: object = {},
  annotations = {},
): ReadPool {
  const metadata = { name, annotations, creationTimestamp: `2026-01-01T00:00:0${name.length % 10}Z` };
  const converted = poolObjects(collection).convert({ metadata, spec, status });
  return converted.kind === 'value' ? converted.value : assert.fail();
}

function serviceOf(
  name: string,
  parts: { ips?: readonly string[]; said?: Json; spec?: Json; annotations?: Json } = {},
): Json {
  const { ips = [], said, spec, annotations } = parts;
  const condition = {
    type: 'tombolo.io/IPAMRequestSatisfied',
    status: 'True',
    reason: 'satisfied',
    message: '',
    ...said,
  };
  return {
    metadata: { name, namespace: 'shop', annotations },
    spec: { type: 'LoadBalancer', clusterIPs: ['10.96.0.7'], ipFamilies: ['IPv4'], ports: [{ port: 80 }], ...spec },
    status: { loadBalancer: { ingress: ips.map((ip) => ({ ip })) }, conditions: said ? [condition] : [] },
  };
}

function factsOf(pools: readonly ReadPool[], ...services: readonly Json[]): AddressFacts {
  const read = services.flatMap((service) => {
    const converted = convertLoadBalancerService(service);
    return converted.kind === 'value' ? [converted.value] : [];
  });
  return { pools, services: read };
}

const BLUE = poolOf(CILIUM, 'blue', { blocks: [{ cidr: '192.0.2.0/28' }] });
const UNKNOWN: Announced = { unknown: 'no agent' };
const NOBODY: api.ListAnnouncersResponse = { speakers: [], bgpPeers: [], problems: [] };

const lines = (service: Json, facts: AddressFacts, announced: Announced = { addresses: [], announcers: NOBODY }) =>
  formatExplanation(explain(service, facts, announced), 0, plain)
    .split('\n')
    .slice(0, -1);

describe('formatPools', () => {
  it('tells how much of each pool is given, to whom, and what is wrong about it', () => {
    const condition = { type: 'cilium.io/IPsTotal', status: 'Unknown', message: '79228162514264337593543950336' };
    const pools = [
      poolOf(
        METALLB,
        'shop',
        { addresses: ['198.51.100.7/32', 'x'] },
        { assignedIPv4: 1, assignedIPv6: 0, availableIPv4: 0, availableIPv6: 0 },
      ),
      poolOf(METALLB, 'half', { addresses: ['203.0.113.0/24'] }, {}, { 'lb.tombolo.io/cluster-share': 'half' }),
      poolOf(CILIUM, 'wide', { blocks: [{ cidr: '2001:db8::/32' }], disabled: true }, { conditions: [condition] }),
      poolOf(CILIUM, 'clash', { blocks: [{ start: '2001:db8::1' }] }),
    ];
    const services = ['a', 'b', 'c', 'd', 'e'].map((name) => serviceOf(name, { ips: ['198.51.100.7'] }));
    assert.deepEqual(formatPools(summarisePools(factsOf(pools, ...services)), 0, plain).split('\n'), [
      'NAME    KIND                       RANGES                                              USED   TOTAL                           USED BY                           REMARK',
      'clash   CiliumLoadBalancerIPPool   2001:db8::1                                         0      -                               -                                 gives out nothing: it overlaps the older pool cilium/wide',
      'wide    CiliumLoadBalancerIPPool   2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff   0      79228162514264337593543950336   -                                 it is disabled',
      'half    IPAddressPool              -                                                   0      -                               -                                 metadata.annotations["lb.tombolo.io/cluster-share"] must be a part such as 2/5, the second of five: current value is "half"',
      'shop    IPAddressPool              198.51.100.7                                        1      1                               shop/a,shop/b,shop/c and 2 more   spec.addresses[1] left out: expected a prefix such as 10.1.0.0/16: current value is "x"; ranges are written as 192.0.2.1-192.0.2.9',
      '',
    ]);
  });
});

describe('formatExplanation', () => {
  it('tells why a Service has its address', () => {
    const said = { reason: 'satisfied' };
    for (const [parts, why] of [
      [{ said }, 'of pool cilium/blue: the Service asks for any'],
      [
        { said, annotations: { 'lbipam.cilium.io/ips': '192.0.2.3' } },
        'of pool cilium/blue: the Service asks for this address',
      ],
      [
        { said, annotations: { 'metallb.io/address-pool': 'x' } },
        'of pool cilium/blue: the Service asks for some address of pool x',
      ],
      [{}, 'of pool cilium/blue: given by another controller'],
    ] as const) {
      const web = serviceOf('web', { ips: ['192.0.2.3'], ...parts });
      assert.equal(lines(web, factsOf([BLUE], web), UNKNOWN)[1], `  192.0.2.3   ${why}`);
    }
    const web = serviceOf('web', { ips: ['192.0.2.3', '198.51.100.1'], said });
    const found = lines(web, factsOf([BLUE], web, serviceOf('other', { ips: ['192.0.2.3'] })), UNKNOWN);
    assert.deepEqual(found.slice(1), [
      '  192.0.2.3   of pool cilium/blue: the Service asks for any; shared with shop/other',
      '  198.51.100.1   of no pool: the Service asks for any',
      '  who announces it is not known: no agent',
    ]);
  });

  it('tells why a Service waits', () => {
    const waits = { status: 'False', reason: 'out_of_ips', message: 'no IPv4 address is left in pool cilium/blue' };
    for (const [service, pools, why] of [
      [serviceOf('web', { said: waits }), [BLUE], 'no IPv4 address is left in pool cilium/blue (out_of_ips)'],
      [
        serviceOf('web', { spec: { type: 'ClusterIP' } }),
        [BLUE],
        'it is of type ClusterIP: only those of type LoadBalancer get addresses',
      ],
      [
        serviceOf('web', { spec: { loadBalancerClass: 'x/y' } }),
        [BLUE],
        'its loadBalancerClass is x/y: another controller gives it addresses',
      ],
      [serviceOf('web', { spec: { clusterIPs: [] } }), [BLUE], 'it has no cluster IP yet'],
      [serviceOf('web'), [], 'there is no pool of addresses'],
      [
        serviceOf('web'),
        [BLUE],
        'nobody has decided about it: is clustermesh-apiserver running, and are addresses for load balancers switched on?',
      ],
    ] as const) {
      assert.deepEqual(lines(service, factsOf(pools)), ['shop/web', '  no address', `  ${why}`]);
    }
  });

  it('tells who announces an address, and why others do not', () => {
    const web = serviceOf('web', { ips: ['192.0.2.3'], said: { reason: 'satisfied' } });
    const speaker = (node: string, ready: boolean): api.Speaker => ({ node, ready, heard: true, interfaces: ['eth0'] });
    const address = (parts: Partial<api.AnnouncedAddress>): api.AnnouncedAddress => ({
      ...{
        address: '192.0.2.3',
        services: ['shop/web'],
        kind: 'LoadBalancer',
        obstacle: '',
        layer2: null,
        anycast: false,
        remoteOnly: '',
        bgp: [],
      },
      ...parts,
    });
    const peer = {
      address: '203.0.113.1',
      asn: '65001',
      source: 'BGPPeer tor',
      state: 'Established',
      trouble: '',
      upMs: 1,
      prefixes: 1,
    };
    const announcers = { ...NOBODY, speakers: ['a', 'b', 'c', 'd'].map((node) => speaker(node, node !== 'd')) };
    const layer2 = { owner: 'a', obstacle: '', next: 'b', answeredHere: true, problem: '' };
    const told = (announced: api.AnnouncedAddress, who: api.ListAnnouncersResponse) =>
      lines(web, factsOf([BLUE], web), { addresses: [announced], announcers: who }).slice(2);
    assert.deepEqual(told(address({ layer2 }), announcers), [
      '    ARP and NDP: a answers (this node)',
      '    ARP and NDP: b would be next, and looks whether the network believes a',
      '    ARP and NDP: c do not, since one node answers for an address',
      '    ARP and NDP: d could not, since they are not ready',
    ]);
    const nobody = { ...layer2, owner: '', next: '', answeredHere: false, obstacle: 'noEndpoints' };
    assert.deepEqual(told(address({ layer2: nobody, obstacle: 'noEndpoints' }), announcers), [
      '    ARP and NDP: nobody answers: none of its endpoints is ready',
      '    this node does not announce it: none of its endpoints is ready',
    ]);
    const bgp = [{ peer: '203.0.113.1', prefix: '192.0.2.3/32', communities: [], localPreference: '', prepends: 0 }];
    assert.deepEqual(told(address({ bgp }), { ...NOBODY, bgpPeers: [peer] }), [
      '    BGP: this node tells 203.0.113.1 of 192.0.2.3/32',
    ]);
    assert.deepEqual(told(address({ anycast: true, remoteOnly: 'lower-preference' }), NOBODY), [
      '    other clusters announce it, too (anycast)',
      '    other clusters alone have backends for it, so this one does: lower-preference',
    ]);
    assert.deepEqual(told(address({}), { ...NOBODY, bgpPeers: [peer], problems: ['FRR is away'] }), [
      '    BGP: this node tells nobody, since no advertisement is for it',
      '  FRR is away',
    ]);
    assert.deepEqual(lines(web, factsOf([BLUE], web)).slice(2), [
      '    nothing asks for it to be announced, as far as this node knows',
    ]);
  });
});
