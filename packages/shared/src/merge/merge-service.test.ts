import assert from 'node:assert/strict';
import { cidr, ip, prefixMatcher } from '../model/ip.ts';
import { sampleEndpoint, sampleRemote, sampleService } from '../model/samples.fixture.ts';
import type { LocalEndpoint, LocalService, RemoteContribution } from '../model/service.ts';
import type { ServiceEntry } from '../model/service-table.ts';
import { type MergeContext, mergeService, type ServiceScope } from './merge-service.ts';
import { EAST, KEY, REMOTES } from './world.fixture.ts';

const [, WEST] = REMOTES as [never, (typeof REMOTES)[number]];
const CONTEXT: MergeContext = {
  local: EAST,
  node: 'node-1',
  scope: 'global',
  ownRanges: prefixMatcher([cidr('10.1.0.0/16')]),
};

const service = (fields: Partial<LocalService> = {}): LocalService => sampleService(KEY, fields);

const west = (
  addresses: readonly string[],
  fields: Partial<RemoteContribution['service']> = {},
): RemoteContribution => ({
  cluster: WEST,
  view: { kind: 'synced' },
  service: {
    ...sampleRemote([]),
    key: KEY,
    backends: addresses.map((address) => ({
      address: ip(address),
      ports: [{ name: 'http', protocol: 'TCP', port: 9090 }],
      zone: 'w',
    })),
    origin: { source: 'etcd', revision: '3', at: 0 },
    ...fields,
  },
});

/** `cluster address port: verdict` for every backend, those of groups first. */
const verdicts = ({ groups, unmatched }: ServiceEntry): readonly string[] =>
  [...groups.flatMap(({ decisions }) => decisions), ...unmatched].map(
    ({ backend: { cluster, address, port }, verdict }) => `${cluster.name} ${address} ${port}: ${verdict}`,
  );

interface Case {
  readonly name: string;
  readonly service?: LocalService | undefined;
  readonly endpoints?: readonly LocalEndpoint[];
  readonly remotes?: readonly RemoteContribution[];
  readonly expected: readonly string[];
}

const CASES: readonly Case[] = [
  {
    name: 'unites local and remote backends of a global Service, target ports as each cluster has them',
    endpoints: [sampleEndpoint('10.1.0.1')],
    remotes: [west(['10.2.0.1', '10.2.0.2'])],
    expected: ['east 10.1.0.1 8080: selected', 'west 10.2.0.1 9090: selected', 'west 10.2.0.2 9090: selected'],
  },
  {
    name: 'leaves remote backends out while the Service here is not global',
    service: service({ global: false }),
    endpoints: [sampleEndpoint('10.1.0.1')],
    remotes: [west(['10.2.0.1'])],
    expected: ['east 10.1.0.1 8080: selected', 'west 10.2.0.1 9090: not-global'],
  },
  {
    name: 'consumes without sharing: shared here says nothing about what we take',
    service: service({ shared: false }),
    remotes: [west(['10.2.0.1'])],
    expected: ['west 10.2.0.1 9090: selected'],
  },
  {
    name: 'leaves out what the other cluster does not share',
    remotes: [west(['10.2.0.1'], { shared: false })],
    expected: ['west 10.2.0.1 9090: not-shared'],
  },
  {
    name: 'lists backends of a Service that does not exist here, and uses none',
    service: undefined,
    remotes: [west(['10.2.0.1'])],
    expected: ['west 10.2.0.1 9090: no-local-service'],
  },
  {
    name: 'affinity local ignores healthy remotes',
    service: service({ affinity: 'local' }),
    endpoints: [sampleEndpoint('10.1.0.1')],
    remotes: [west(['10.2.0.1'])],
    expected: ['east 10.1.0.1 8080: selected', 'west 10.2.0.1 9090: affinity'],
  },
  {
    name: 'affinity local falls back to remotes when every local backend is terminating or unready',
    service: service({ affinity: 'local' }),
    endpoints: [
      sampleEndpoint('10.1.0.1', { ready: false, terminating: true }),
      sampleEndpoint('10.1.0.2', { ready: false, serving: false }),
    ],
    remotes: [west(['10.2.0.1'])],
    expected: ['east 10.1.0.1 8080: terminating', 'east 10.1.0.2 8080: unready', 'west 10.2.0.1 9090: selected'],
  },
  {
    name: 'affinity remote prefers remotes, and takes locals when there is none',
    service: service({ affinity: 'remote' }),
    endpoints: [sampleEndpoint('10.1.0.1')],
    remotes: [west([])],
    expected: ['east 10.1.0.1 8080: selected'],
  },
  {
    name: 'affinity remote leaves locals out while a remote one is there',
    service: service({ affinity: 'remote' }),
    endpoints: [sampleEndpoint('10.1.0.1')],
    remotes: [west(['10.2.0.1'])],
    expected: ['east 10.1.0.1 8080: affinity', 'west 10.2.0.1 9090: selected'],
  },
  {
    name: 'ignores affinity when the Service is not global',
    service: service({ global: false, affinity: 'remote' }),
    endpoints: [sampleEndpoint('10.1.0.1')],
    remotes: [west(['10.2.0.1'])],
    expected: ['east 10.1.0.1 8080: selected', 'west 10.2.0.1 9090: not-global'],
  },
  {
    name: 'uses terminating backends that still serve when nothing else is left',
    endpoints: [sampleEndpoint('10.1.0.1', { ready: false, terminating: true })],
    expected: ['east 10.1.0.1 8080: selected'],
  },
  {
    name: 'refuses addresses that no other cluster may offer',
    remotes: [west(['127.0.0.1', '169.254.169.254', '224.0.0.1', '10.1.9.9', '10.2.0.1'])],
    expected: [
      'west 10.1.9.9 9090: refused-address',
      'west 10.2.0.1 9090: selected',
      'west 127.0.0.1 9090: refused-address',
      'west 169.254.169.254 9090: refused-address',
      'west 224.0.0.1 9090: refused-address',
    ],
  },
  {
    name: 'leaves out other families and other port names',
    endpoints: [
      sampleEndpoint('fd00::1'),
      sampleEndpoint('10.1.0.1', { ports: [{ name: 'metrics', protocol: 'TCP', port: 1 }] }),
    ],
    expected: ['east 10.1.0.1 1: port-name', 'east fd00::1 8080: address-family'],
  },
  {
    name: 'gives an address that two clusters offer to the first',
    remotes: [{ ...west(['10.3.0.1']), cluster: REMOTES[0] ?? EAST }, west(['10.3.0.1'])],
    expected: ['north 10.3.0.1 9090: selected', 'west 10.3.0.1 9090: duplicate'],
  },
  {
    name: 'traffic policy Local keeps to this node',
    service: service({ internalTrafficPolicy: 'Local', externalTrafficPolicy: 'Local' }),
    endpoints: [sampleEndpoint('10.1.0.1'), sampleEndpoint('10.1.0.2', { node: 'node-2' })],
    remotes: [west(['10.2.0.1'])],
    expected: [
      'east 10.1.0.1 8080: selected',
      'east 10.1.0.2 8080: traffic-policy',
      'west 10.2.0.1 9090: traffic-policy',
    ],
  },
  {
    name: 'shows the backends of a headless Service',
    service: service({ clusterIps: [] }),
    endpoints: [sampleEndpoint('10.1.0.1')],
    remotes: [west(['10.2.0.1'])],
    expected: ['east 10.1.0.1 8080: selected', 'west 10.2.0.1 9090: selected'],
  },
];

describe('mergeService()', () => {
  for (const { name, endpoints = [], remotes = [], expected, ...given } of CASES) {
    it(name, () => {
      const here = 'service' in given ? given.service : service();
      assert.deepEqual(verdicts(mergeService(CONTEXT, { key: KEY, service: here, endpoints, remotes })), expected);
    });
  }

  it('has external addresses and NodePorts only in families in which the Service has a cluster IP, as kube-proxy', () => {
    const reached = (...clusterIps: readonly string[]): readonly string[] => {
      const here = service({
        clusterIps: clusterIps.map(ip),
        externalIps: ['192.0.2.7', 'fd00:7::7'].map(ip),
        loadBalancerIps: ['198.51.100.1', 'fd00:7::8'].map(ip),
        ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 }],
      });
      const { groups } = mergeService(CONTEXT, { key: KEY, service: here, endpoints: [], remotes: [] });
      return groups.flatMap(({ frontends }) => frontends.map(({ address }) => address));
    };
    assert.deepEqual(reached('10.96.0.1'), ['10.96.0.1', '192.0.2.7', '198.51.100.1', '0.0.0.0']);
    assert.deepEqual(reached('fd00:96::1'), ['fd00:96::1', 'fd00:7::7', 'fd00:7::8', '::']);
    assert.deepEqual(reached(), []);
  });

  it('splits frontends where internal and external policy differ', () => {
    const here = service({
      externalTrafficPolicy: 'Local',
      ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 }],
    });
    const endpoints = [sampleEndpoint('10.1.0.2', { node: 'node-2' })];
    const { groups } = mergeService(CONTEXT, { key: KEY, service: here, endpoints, remotes: [] });
    assert.deepEqual(
      groups.map(({ frontends, decisions }) => [
        frontends.map(({ kind }) => kind),
        decisions.map(({ verdict }) => verdict),
      ]),
      [
        [['ClusterIP'], ['selected']],
        [['NodePort'], ['traffic-policy']],
      ],
    );
  });

  it('programs global Services beside kube-proxy, and all in its place', () => {
    const programmed = (scope: ServiceScope, global: boolean) =>
      mergeService({ ...CONTEXT, scope }, { key: KEY, service: service({ global }), endpoints: [], remotes: [] })
        .programmed;
    assert.deepEqual(
      [programmed('global', true), programmed('global', false), programmed('all', false)],
      [true, false, true],
    );
  });

  it('collects several names of one target port into one backend', () => {
    const ports = ['web', 'http', ''].map((name) => ({ name, protocol: 'TCP' as const, port: 8080 }));
    const { groups } = mergeService(CONTEXT, {
      key: KEY,
      service: service(),
      endpoints: [sampleEndpoint('10.1.0.1', { ports })],
      remotes: [],
    });
    assert.deepEqual(
      groups[0]?.decisions.map(({ backend }) => backend.portNames),
      [['http', 'web']],
    );
  });
});
