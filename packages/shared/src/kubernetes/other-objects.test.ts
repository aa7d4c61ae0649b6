import assert from 'node:assert/strict';
import { convertNamespace } from './namespace-object.ts';
import { convertNode } from './node-object.ts';
import { convertPod, convertPodAddresses } from './pod-object.ts';

describe('convertNode()', () => {
  it('takes everything over and leaves out what cannot be used', () => {
    const conversion = convertNode({
      metadata: { name: 'n1', uid: 'u1', labels: { 'topology.kubernetes.io/zone': 'z1' } },
      spec: { podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24', 'fd00:1::/64', '10.1.0.1/24'] },
      status: {
        addresses: [
          { type: 'InternalIP', address: '192.168.0.1' },
          { type: 'Hostname', address: 'n1' },
          { type: 'ExternalIP', address: 'FD00::1' },
          { type: 'InternalIP', address: 'n1.example' },
        ],
        nodeInfo: { bootID: 'b' },
      },
    });
    assert.deepEqual(conversion, {
      kind: 'value',
      value: {
        name: 'n1',
        zone: 'z1',
        addresses: ['192.168.0.1', 'fd00::1'],
        podCidrs: ['10.1.0.0/24', 'fd00:1::/64'],
        typedAddresses: [
          { type: 'InternalIP', address: '192.168.0.1' },
          { type: 'ExternalIP', address: 'fd00::1' },
        ],
        labels: { 'topology.kubernetes.io/zone': 'z1' },
        bootId: 'b',
        leaving: false,
        excludedFromLoadBalancers: false,
        uid: 'u1',
        unreachable: false,
      },
      warnings: [
        'status.addresses left out: expected an IP address: current value is "n1.example"',
        'spec.podCIDRs left out: expected no bits set beyond the prefix length: current value is "10.1.0.1/24"',
      ],
    });
  });

  it('takes the single podCIDR and the old zone label of old clusters', () => {
    const conversion = convertNode({
      metadata: { name: 'n1', labels: { 'failure-domain.beta.kubernetes.io/zone': 'z1' } },
      spec: { podCIDR: '10.1.0.0/24' },
    });
    assert(conversion.kind === 'value');
    assert.deepEqual([conversion.value.podCidrs, conversion.value.zone], [['10.1.0.0/24'], 'z1']);
  });

  for (const [what, object] of [
    ['is being deleted', { metadata: { name: 'n1', deletionTimestamp: '2026-01-01T00:00:00Z' } }],
    [
      'is the next that the autoscaler takes',
      { metadata: { name: 'n1' }, spec: { taints: [{ key: 'x' }, { key: 'ToBeDeletedByClusterAutoscaler' }] } },
    ],
  ] as const) {
    it(`sees that it leaves when it ${what}`, () => {
      const conversion = convertNode(object);
      assert(conversion.kind === 'value');
      assert.equal(conversion.value.leaving, true);
    });
  }

  it('knows of one that nothing is heard of any more', () => {
    for (const status of ['True', 'False', 'Unknown']) {
      const conversion = convertNode({ metadata: { name: 'n1' }, status: { conditions: [{ type: 'Ready', status }] } });
      assert(conversion.kind === 'value');
      assert.equal(conversion.value.unreachable, status === 'Unknown');
    }
  });

  it('refuses a malformed one', () => {
    const reason = 'status.addresses must be an array: current value is 1';
    assert.deepEqual(convertNode({ metadata: { name: 'n1' }, status: { addresses: 1 } }), { kind: 'refused', reason });
  });
});

describe('convertNamespace()', () => {
  const namespace = (annotations?: Record<string, string>) =>
    convertNamespace({ metadata: { name: 'shop', labels: { team: 'a' }, annotations } });

  for (const [text, global] of [
    ['true', true],
    ['False', false],
    [undefined, undefined],
    ['maybe', undefined],
  ] as const) {
    it(`reads ${text} as ${global}`, () => {
      const conversion = namespace(text === undefined ? undefined : { 'clustermesh.cilium.io/global': text });
      assert(conversion.kind === 'value');
      assert.deepEqual(conversion.value, { name: 'shop', global, labels: { team: 'a' } });
      assert.equal(conversion.warnings.length, text === 'maybe' ? 1 : 0);
    });
  }
});

describe('convertPodAddresses()', () => {
  const addressesOf = (status: object, spec: object = {}) => {
    const conversion = convertPodAddresses({ metadata: { namespace: 'shop', name: 'cart-0' }, spec, status });
    return conversion.kind === 'value' ? conversion.value : conversion.kind;
  };
  const podIPs = [{ ip: '10.1.0.1' }, { ip: 'fd00::1' }];

  it('knows a pod from when it has addresses until it ends, and none in the network of the node', () => {
    assert.equal(addressesOf({ phase: 'Pending' }), 'ignored');
    for (const phase of ['Pending', 'Running', 'Unknown'])
      assert.deepEqual(addressesOf({ phase, podIPs }), ['10.1.0.1', 'fd00::1']);
    for (const phase of ['Succeeded', 'Failed']) assert.equal(addressesOf({ phase, podIPs }), 'ignored');
    assert.equal(addressesOf({ phase: 'Running', podIPs }, { hostNetwork: true }), 'ignored');
  });
});

describe('convertPod()', () => {
  const pod = (spec: unknown, status: unknown) =>
    convertPod({
      metadata: { namespace: 'shop', name: 'cart-0', uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z', labels: {} },
      spec,
      status,
    });

  it('takes over a running pod with all its addresses', () => {
    const status = {
      phase: 'Running',
      podIP: '10.1.0.1',
      podIPs: [{ ip: '10.1.0.1' }, { ip: 'fd00::1' }],
      hostIP: '192.168.0.1',
      hostIPs: [{ ip: '192.168.0.1' }, { ip: 'fd00:9::1' }],
    };
    assert.deepEqual(pod({ serviceAccountName: 'cart' }, status), {
      kind: 'value',
      value: {
        namespace: 'shop',
        name: 'cart-0',
        serviceAccount: 'cart',
        labels: {},
        addresses: ['10.1.0.1', 'fd00::1'],
        hostAddresses: ['192.168.0.1', 'fd00:9::1'],
        createdAt: '2026-01-01T00:00:00Z',
        uid: 'u',
      },
      warnings: [],
    });
  });

  it('takes podIP and hostIP where there is only one of each', () => {
    const conversion = pod({}, { phase: 'Running', podIP: '10.1.0.1', hostIP: '192.168.0.1' });
    assert(conversion.kind === 'value');
    const { addresses, hostAddresses, serviceAccount } = conversion.value;
    assert.deepEqual([addresses, hostAddresses, serviceAccount], [['10.1.0.1'], ['192.168.0.1'], 'default']);
  });

  for (const [what, spec, status] of [
    ['in the host network', { hostNetwork: true }, { phase: 'Running', podIP: '10.1.0.1' }],
    ['that waits', {}, { phase: 'Pending', podIP: '10.1.0.1' }],
    ['at its end', {}, { phase: 'Succeeded', podIP: '10.1.0.1' }],
    ['without an address', {}, { phase: 'Running' }],
  ] as const) {
    it(`ignores a pod ${what}`, () => assert.deepEqual(pod(spec, status), { kind: 'ignored' }));
  }

  it('refuses a malformed one', () => {
    const reason = 'status.podIPs[0] must be an object: current value is "10.1.0.1"';
    assert.deepEqual(pod({}, { phase: 'Running', podIPs: ['10.1.0.1'] }), { kind: 'refused', reason });
  });
});
