import assert from 'node:assert/strict';
import type { Pod, PodSpec, PodStatus, Service, ServiceSpec } from '../api/kinds/typed.ts';
import type { Metadata } from '../api/objects.ts';
import { planSlices, subsetsOf } from './service-endpoints.ts';

const metadata = (name: string, more: Partial<Metadata> = {}): Metadata => ({
  name,
  namespace: 'x',
  uid: `uid-${name}`,
  resourceVersion: '1',
  creationTimestamp: '2026-01-01T00:00:00Z',
  ...more,
});

const service = (spec: ServiceSpec = {}): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: metadata('web'),
  spec: { ipFamilies: ['IPv4'], ports: [{ name: 'http', port: 80, targetPort: 'http', protocol: 'TCP' }], ...spec },
});

const pod = (name: string, status: PodStatus = {}, spec: Partial<PodSpec> = {}, more: Partial<Metadata> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: metadata(name, more),
  spec: { nodeName: 'n1', containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }] }], ...spec },
  status: {
    phase: 'Running',
    podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }],
    conditions: [{ type: 'Ready', status: 'True' }],
    ...status,
  },
});

const zoneOf = (node: string) => (node === 'n1' ? 'z1' : undefined);
const one = (svc: Service, p: Pod) => {
  const [slice] = planSlices(svc, [p], zoneOf);
  return slice && { ...slice, endpoint: slice.endpoints[0] };
};

describe('planSlices()', () => {
  it('tells address, resolved port, node, zone and pod', () => {
    assert.deepEqual(planSlices(service(), [pod('a')], zoneOf)[0], {
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: [
        {
          addresses: ['10.0.0.1'],
          conditions: { ready: true, serving: true, terminating: false },
          targetRef: { kind: 'Pod', namespace: 'x', name: 'a', uid: 'uid-a' },
          nodeName: 'n1',
          zone: 'z1',
        },
      ],
    });
  });

  const terminating = { deletionTimestamp: '2026-01-01T00:00:00Z' };
  const notReady = { conditions: [{ type: 'Ready', status: 'False' }] };
  const conditions: readonly (readonly [
    string,
    Service,
    Pod,
    { ready: boolean; serving: boolean; terminating: boolean },
  ])[] = [
    ['not ready', service(), pod('a', notReady), { ready: false, serving: false, terminating: false }],
    [
      'terminating and still serving',
      service(),
      pod('a', {}, {}, terminating),
      { ready: false, serving: true, terminating: true },
    ],
    [
      'terminating and not ready',
      service(),
      pod('a', notReady, {}, terminating),
      { ready: false, serving: false, terminating: true },
    ],
    [
      'published though not ready',
      service({ publishNotReadyAddresses: true }),
      pod('a', notReady),
      { ready: true, serving: false, terminating: false },
    ],
    [
      'without conditions',
      service(),
      pod('a', { conditions: [] }),
      { ready: false, serving: false, terminating: false },
    ],
  ];
  for (const [name, svc, p, expected] of conditions) {
    it(`conditions of a pod ${name}`, () => assert.deepEqual(one(svc, p)?.endpoint?.conditions, expected));
  }

  it('leaves out pods without address', () => {
    assert.deepEqual(planSlices(service(), [pod('a', { podIPs: [] })], zoneOf), [
      { addressType: 'IPv4', ports: [], endpoints: [] },
    ]);
  });

  it('gives each family its own endpoints', () => {
    const both = planSlices(service({ ipFamilies: ['IPv6', 'IPv4'] }), [pod('a')], zoneOf);
    assert.deepEqual(
      both.map(({ addressType, endpoints }) => [addressType, endpoints[0]?.addresses[0]]),
      [
        ['IPv6', 'fd00::1'],
        ['IPv4', '10.0.0.1'],
      ],
    );
  });

  it('resolves numbers, names by protocol, and leaves out a name that the pod lacks', () => {
    const containers = [
      {
        name: 'c',
        ports: [
          { name: 'dns', containerPort: 53, protocol: 'TCP' },
          { name: 'dns', containerPort: 5353, protocol: 'UDP' },
        ],
      },
    ];
    const ports = [
      { name: 'u', port: 1, targetPort: 'dns', protocol: 'UDP' },
      { name: 'n', port: 2, targetPort: 9000, protocol: 'TCP' },
      { name: 'same', port: 3 },
      { name: 'missing', port: 4, targetPort: 'nowhere' },
    ];
    assert.deepEqual(one(service({ ports }), pod('a', {}, { containers }))?.ports, [
      { name: 'u', port: 5353, protocol: 'UDP' },
      { name: 'n', port: 9000, protocol: 'TCP' },
      { name: 'same', port: 3, protocol: 'TCP' },
    ]);
  });

  it('gives pods with other ports a slice of their own', () => {
    const other = pod('b', {}, { containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 9090 }] }] });
    const slices = planSlices(service(), [pod('a'), other], zoneOf);
    assert.deepEqual(
      slices.map(({ ports, endpoints }) => [ports[0]?.port, endpoints[0]?.targetRef.name]),
      [
        [8080, 'a'],
        [9090, 'b'],
      ],
    );
  });

  it('subsetsOf() tells what is ready', () => {
    const slices = planSlices(service(), [pod('a'), pod('b', { ...notReady, podIPs: [{ ip: '10.0.0.2' }] })], zoneOf);
    const [subset] = subsetsOf(slices) as { addresses: { ip: string }[]; ports: unknown }[];
    assert.deepEqual(
      subset?.addresses.map(({ ip }) => ip),
      ['10.0.0.1'],
    );
    assert.deepEqual(subset?.ports, [{ name: 'http', port: 8080, protocol: 'TCP' }]);
  });
});
