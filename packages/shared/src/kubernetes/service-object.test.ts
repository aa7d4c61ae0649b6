import assert from 'node:assert/strict';
import type { LocalService } from '../model/service.ts';
import { convertService } from './service-object.ts';

interface Parts {
  readonly annotations?: unknown;
  readonly labels?: unknown;
  readonly spec?: unknown;
  readonly status?: unknown;
}

const object = ({ annotations, labels, spec = { clusterIP: '10.96.0.1' }, status }: Parts) => ({
  metadata: {
    namespace: 'shop',
    name: 'cart',
    resourceVersion: '42',
    uid: 'u1',
    creationTimestamp: '2026-01-02T03:04:05Z',
    annotations,
    labels,
  },
  spec,
  status,
});

function converted(parts: Parts): { readonly value: LocalService; readonly warnings: readonly string[] } {
  const conversion = convertService(object(parts), 7);
  assert.equal(conversion.kind, 'value');
  return conversion;
}

describe('convertService()', () => {
  it('reads what becomes of its addresses in several clusters, of a global one', () => {
    const read = (annotations: object) => {
      const { value, warnings } = converted({ annotations: { 'service.cilium.io/global': 'true', ...annotations } });
      return [value.anycast ?? false, value.whenRemoteOnly ?? 'stay', warnings.length];
    };
    const [anycast, when] = ['service.tombolo.io/anycast', 'service.tombolo.io/when-remote-only'];
    assert.deepEqual(read({}), [false, 'stay', 0]);
    assert.deepEqual(read({ [anycast]: 'true' }), [true, 'withdraw', 0]);
    assert.deepEqual(read({ [anycast]: 'True', [when]: 'stay' }), [true, 'stay', 0]);
    assert.deepEqual(read({ [when]: 'lower-preference' }), [false, 'lower-preference', 0]);
    assert.deepEqual(read({ [anycast]: 'yes' }), [false, 'stay', 1]);
    assert.deepEqual(read({ [anycast]: 'true', [when]: 'Withdraw!' }), [true, 'withdraw', 1]);
    assert.deepEqual(read({ 'service.cilium.io/global': 'false', [anycast]: 'true' }), [false, 'stay', 1]);
  });

  it('takes everything over', () => {
    const { value, warnings } = converted({
      annotations: { 'service.cilium.io/global': 'true' },
      labels: { app: 'cart' },
      spec: {
        type: 'LoadBalancer',
        clusterIP: '10.96.0.1',
        clusterIPs: ['10.96.0.1', 'FD00:0::1'],
        externalIPs: ['192.0.2.1'],
        ports: [
          { name: 'http', port: 80, targetPort: 'web', nodePort: 30080 },
          { name: 'dns', port: 53, protocol: 'UDP' },
        ],
        selector: { app: 'cart' },
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
        internalTrafficPolicy: 'Local',
        externalTrafficPolicy: 'Local',
        trafficDistribution: 'PreferSameZone',
        healthCheckNodePort: 31000,
        loadBalancerSourceRanges: ['203.0.113.0/24'],
      },
      status: { loadBalancer: { ingress: [{ ip: '198.51.100.1' }, { hostname: 'lb.example' }] } },
    });
    assert.deepEqual(warnings, []);
    assert.deepEqual(value, {
      key: 'shop/cart',
      uid: 'u1',
      createdAt: '2026-01-02T03:04:05Z',
      global: true,
      shared: true,
      affinity: 'none',
      clusterIps: ['10.96.0.1', 'fd00::1'],
      externalIps: ['192.0.2.1'],
      loadBalancerIps: ['198.51.100.1'],
      sourceRanges: [{ address: '203.0.113.0', length: 24 }],
      ports: [
        { name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 },
        { name: 'dns', protocol: 'UDP', port: 53, nodePort: 0 },
      ],
      sessionAffinitySeconds: 60,
      internalTrafficPolicy: 'Local',
      externalTrafficPolicy: 'Local',
      staysClose: true,
      healthCheckNodePort: 31000,
      labels: { app: 'cart' },
      selector: { app: 'cart' },
      origin: { source: 'kubernetes', revision: '42', at: 7 },
    });
  });

  it('has defaults for everything', () => {
    const conversion = convertService({ metadata: { namespace: 'shop', name: 'cart' } }, 7);
    assert.deepEqual(conversion, {
      kind: 'value',
      warnings: [],
      value: {
        key: 'shop/cart',
        uid: '',
        createdAt: '',
        global: false,
        shared: false,
        affinity: 'none',
        clusterIps: [],
        externalIps: [],
        loadBalancerIps: [],
        sourceRanges: [],
        ports: [],
        sessionAffinitySeconds: 0,
        internalTrafficPolicy: 'Cluster',
        externalTrafficPolicy: 'Cluster',
        staysClose: false,
        healthCheckNodePort: 0,
        labels: {},
        selector: {},
        origin: { source: 'kubernetes', revision: '', at: 7 },
      },
    });
  });

  it('takes weights of clusters, and none of them if one is wrong', () => {
    const weigh = (text: string, global = 'true') =>
      converted({ annotations: { 'service.cilium.io/global': global, 'service.tombolo.io/cluster-weights': text } });
    const weightsOf = (text: string) => [...(weigh(text).value.clusterWeights ?? [])];
    assert.deepEqual(weightsOf('east=90,west=10'), [
      ['east', 90],
      ['west', 10],
    ]);
    assert.deepEqual(weightsOf(' east = 0 , west=1000000'), [
      ['east', 0],
      ['west', 1_000_000],
    ]);
    for (const wrong of [
      '',
      'east',
      'east=',
      'east=1.5',
      'east=-1',
      'east=1,east=2',
      'East=1',
      'a=0,b=0',
      'a=1000001',
      'a=1,',
    ]) {
      const { value, warnings } = weigh(wrong);
      assert.deepEqual([value.clusterWeights, warnings.length], [undefined, 1], wrong);
      assert.match(warnings[0] ?? '', /^service.tombolo.io\/cluster-weights not used: expected .*: current value is "/);
    }
    assert.equal(weigh('east=1', 'false').value.clusterWeights, undefined);
  });

  it('has source ranges of a load balancer only, and refuses what would leave them open', () => {
    const metadata = { namespace: 'shop', name: 'cart' };
    const ranges = (spec: object) => {
      const conversion = convertService({ metadata, spec }, 7);
      return conversion.kind === 'value' ? conversion.value.sourceRanges : conversion.kind;
    };
    const loadBalancerSourceRanges = ['10.1.2.3/8', ' fd00::/16 '];
    assert.deepEqual(ranges({ type: 'ClusterIP', loadBalancerSourceRanges }), []);
    assert.deepEqual(ranges({ type: 'LoadBalancer', loadBalancerSourceRanges }), [
      { address: '10.0.0.0', length: 8 },
      { address: 'fd00::', length: 16 },
    ]);
    assert.equal(ranges({ type: 'LoadBalancer', loadBalancerSourceRanges: ['anybody'] }), 'refused');
  });

  const GLOBAL = 'service.cilium.io/global';
  const SHARED = 'service.cilium.io/shared';
  const AFFINITY = 'service.cilium.io/affinity';
  const sharing: readonly (readonly [string, Record<string, string>, string])[] = [
    ['no annotation', {}, 'false false none'],
    ['global', { [GLOBAL]: 'true' }, 'true true none'],
    ['global in capitals', { [GLOBAL]: 'TRUE' }, 'true true none'],
    ['the old alias', { 'io.cilium/global-service': 'true' }, 'true true none'],
    ['a current key that contradicts', { [GLOBAL]: 'false', 'io.cilium/global-service': 'true' }, 'false false none'],
    ['an empty current key', { [GLOBAL]: '', 'io.cilium/global-service': 'true' }, 'false false none'],
    ['not shared', { [GLOBAL]: 'true', [SHARED]: 'false' }, 'true false none'],
    ['shared in capitals', { [GLOBAL]: 'true', [SHARED]: 'True' }, 'true true none'],
    ['the old alias of shared', { [GLOBAL]: 'true', 'io.cilium/shared-service': 'false' }, 'true false none'],
    ['shared without global', { [SHARED]: 'true' }, 'false false none'],
    ['affinity local', { [GLOBAL]: 'true', [AFFINITY]: 'local' }, 'true true local'],
    ['affinity remote in capitals', { [GLOBAL]: 'true', [AFFINITY]: 'Remote' }, 'true true remote'],
    ['affinity none', { [GLOBAL]: 'true', [AFFINITY]: 'none' }, 'true true none'],
    ['affinity empty', { [GLOBAL]: 'true', [AFFINITY]: '' }, 'true true none'],
    ['the old alias of affinity', { [GLOBAL]: 'true', 'io.cilium/service-affinity': 'local' }, 'true true local'],
    ['affinity without global', { [AFFINITY]: 'local' }, 'false false none'],
  ];
  for (const [what, annotations, expected] of sharing) {
    it(`reads ${what} as ${expected}`, () => {
      const { value, warnings } = converted({ annotations });
      assert.equal(`${value.global} ${value.shared} ${value.affinity}`, expected);
      assert.deepEqual(warnings, []);
    });
  }

  it('reads an invalid affinity as none and says so', () => {
    const { value, warnings } = converted({ annotations: { [GLOBAL]: 'true', [AFFINITY]: 'near' } });
    assert.equal(value.affinity, 'none');
    assert.deepEqual(warnings, [
      'service.cilium.io/affinity read as none: expected local, remote or none: current value is "near"',
    ]);
  });

  for (const [what, parts] of [
    ['clusterIP None', { spec: { clusterIP: 'None', ports: [{ port: 80 }] } }],
    ['clusterIPs None', { spec: { clusterIPs: ['None'], ports: [{ port: 80 }] } }],
    ['the headless label', { labels: { 'service.kubernetes.io/headless': '' }, spec: { clusterIP: '10.96.0.1' } }],
    ['no address yet', { spec: { clusterIP: '' } }],
  ] as const) {
    it(`has no cluster IPs with ${what}`, () => assert.deepEqual(converted(parts).value.clusterIps, []));
  }

  it('reads what is neither true nor false as false, and says so', () => {
    for (const name of ['global', 'shared'] as const) {
      const { value, warnings } = converted({
        annotations: { [GLOBAL]: 'true', [`service.cilium.io/${name}`]: 'yes' },
      });
      assert.equal(value[name], false);
      assert.deepEqual(warnings, [
        `service.cilium.io/${name} read as false: expected true or false: current value is "yes"`,
      ]);
    }
  });

  it('serves nothing for an ExternalName, and says that global has no effect on it', () => {
    const { value, warnings } = converted({
      annotations: { [GLOBAL]: 'true' },
      spec: { type: 'ExternalName', externalName: 'x.example', clusterIP: '10.96.0.1', ports: [{ port: 80 }] },
    });
    assert.deepEqual([value.ports, value.clusterIps, value.global, value.shared], [[], [], false, false]);
    assert.match(warnings[0] ?? '', /no effect/);
  });

  it('ignores what another proxy serves', () => {
    const labels = { 'service.kubernetes.io/service-proxy-name': 'other' };
    assert.deepEqual(convertService(object({ labels }), 7), { kind: 'ignored' });
  });

  it('has 10800 s of session affinity unless told otherwise', () => {
    for (const sessionAffinityConfig of [undefined, {}, { clientIP: {} }, { clientIP: { timeoutSeconds: 0 } }]) {
      const spec = { sessionAffinity: 'ClientIP', sessionAffinityConfig };
      assert.equal(converted({ spec }).value.sessionAffinitySeconds, 10_800);
    }
    assert.equal(converted({ spec: { sessionAffinity: 'None' } }).value.sessionAffinitySeconds, 0);
  });

  it('has a health check port only where load balancers need it: type LoadBalancer, external policy Local', () => {
    const needed = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 31000 };
    const portOf = (parts: object) => converted({ spec: { ...needed, ...parts } }).value.healthCheckNodePort;
    assert.equal(portOf({}), 31_000);
    for (const parts of [
      { type: 'NodePort' },
      { type: undefined },
      { externalTrafficPolicy: 'Cluster' },
      { healthCheckNodePort: 0 },
      { healthCheckNodePort: undefined },
    ]) {
      assert.equal(portOf(parts), 0, JSON.stringify(parts));
    }
    const { value, warnings } = converted({ spec: { ...needed, healthCheckNodePort: 70_000 } });
    assert.equal(value.healthCheckNodePort, 0);
    assert.match(warnings.join(), /^spec.healthCheckNodePort left out: port must be 1-65535: current value is 70000$/);
  });

  it('leaves out parts that cannot be used, and says which', () => {
    const { value, warnings } = converted({
      spec: {
        clusterIPs: ['10.96.0.1', '10.96.0.256'],
        ports: [{ port: 80 }, { port: 0 }, { port: 70000 }, { port: 80.5 }, {}, { port: 1, protocol: 'ICMP' }],
      },
      status: { loadBalancer: { ingress: [{ ip: '198.51.100.1', ipMode: 'Proxy' }, { ip: 'x' }, { ip: 'fd00::1' }] } },
    });
    assert.deepEqual(value.clusterIps, ['10.96.0.1']);
    assert.deepEqual(value.ports, [{ name: '', protocol: 'TCP', port: 80, nodePort: 0 }]);
    assert.deepEqual(value.loadBalancerIps, ['fd00::1']);
    assert.deepEqual(warnings, [
      'spec.clusterIPs left out: expected an IP address: current value is "10.96.0.256"',
      'status.loadBalancer.ingress left out: expected an IP address: current value is "x"',
      'spec.ports[1] left out: port must be 1-65535: current value is 0',
      'spec.ports[2] left out: port must be 1-65535: current value is 70000',
      'spec.ports[3] left out: port must be 1-65535: current value is 80.5',
      'spec.ports[4] left out: port must be 1-65535: current value is undefined',
      'spec.ports[5] left out: protocol must be TCP, UDP or SCTP: current value is "ICMP"',
    ]);
  });

  for (const [parts, reason] of [
    [{ annotations: 'x' }, 'metadata.annotations must be an object: current value is "x"'],
    [{ annotations: { [GLOBAL]: true } }, `metadata.annotations["${GLOBAL}"] must be a string: current value is true`],
    [{ labels: [] }, 'metadata.labels must be an object: current value is []'],
    [{ spec: 3 }, 'spec must be an object: current value is 3'],
    [{ spec: { ports: {} } }, 'spec.ports must be an array: current value is {}'],
    [{ spec: { ports: ['80'] } }, 'spec.ports[0] must be an object: current value is "80"'],
    [{ spec: { selector: { app: 1 } } }, 'spec.selector["app"] must be a string: current value is 1'],
    [{ status: { loadBalancer: [] } }, 'status.loadBalancer must be an object: current value is []'],
  ] as const) {
    it(`refuses: ${reason}`, () => {
      assert.deepEqual(convertService(object(parts), 7), { kind: 'refused', reason });
    });
  }
});
