import assert from 'node:assert/strict';
import type { ClusterName } from '../model/cluster.ts';
import { cidr, formatCidr, ip, prefixMatcher } from '../model/ip.ts';
import { MOST_BACKENDS } from '../model/routes.ts';
import { sampleEndpoint, sampleRemote, sampleService } from '../model/samples.fixture.ts';
import type { BackendPort, LocalEndpoint, LocalService, RemoteContribution } from '../model/service.ts';
import type { ServiceExplanation, ServiceFacts } from '../model/service-table.ts';
import type { MergeContext, ServiceScope } from './context.ts';
import { explainService } from './explain-service.ts';
import { frontendsOf } from './frontends.ts';
import { isProgrammed, mergeRoutes } from './merge-service.ts';
import { EAST, KEY, REMOTES } from './world.fixture.ts';

const [, WEST] = REMOTES as [never, (typeof REMOTES)[number]];
const clusterName = (name: string): ClusterName => name as ClusterName;
const CONTEXT: MergeContext = {
  local: EAST,
  node: 'node-1',
  zone: 'a',
  scope: 'global',
  ownRanges: prefixMatcher([cidr('10.1.0.0/16')]),
  remotePerFrontend: 100,
};

const service = (fields: Partial<LocalService> = {}): LocalService => sampleService(KEY, fields);

const facts = (fields: Partial<ServiceFacts> = {}): ServiceFacts => ({
  key: KEY,
  service: service(),
  takesPart: true,
  endpoints: [],
  remotes: [],
  refusedFrontends: new Map(),
  ...fields,
});

const inZone = (zone: string, address: string): RemoteContribution =>
  west([address], {
    backends: [{ address: ip(address), ports: [{ name: 'http', protocol: 'TCP', port: 9090 }], zone }],
  });

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
    ...fields,
  },
});

/** `cluster address port: verdict` for every backend, those of groups first. */
const verdicts = ({ groups, unmatched }: ServiceExplanation): readonly string[] =>
  [...groups.flatMap(({ decisions }) => decisions), ...unmatched].map(
    ({ backend: { cluster, address, port }, verdict }) => `${cluster.name} ${address} ${port}: ${verdict}`,
  );

interface Case extends Partial<Omit<ServiceFacts, 'service'>> {
  readonly name: string;
  readonly service?: LocalService | undefined;
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
    name: 'leaves remote backends out while the namespace does not take part',
    takesPart: false,
    service: service({ affinity: 'remote' }),
    endpoints: [sampleEndpoint('10.1.0.1')],
    remotes: [west(['10.2.0.1'])],
    expected: ['east 10.1.0.1 8080: selected', 'west 10.2.0.1 9090: namespace'],
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
    name: 'affinity remote takes active locals before remotes that are all terminating',
    service: service({ affinity: 'remote' }),
    endpoints: [sampleEndpoint('10.1.0.1')],
    remotes: [west(['10.2.0.1'], { terminating: true })],
    expected: ['east 10.1.0.1 8080: selected', 'west 10.2.0.1 9090: terminating'],
  },
  {
    name: 'uses the last pods of another cluster, which are terminating, while nobody else has any',
    remotes: [west(['10.2.0.1'], { terminating: true })],
    expected: ['west 10.2.0.1 9090: selected'],
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
    name: 'refuses IPv4-mapped addresses whoever offers them, and nothing beside them',
    service: service({ clusterIps: ['10.96.0.1', 'fd00:96::1'].map(ip) }),
    endpoints: [sampleEndpoint('::ffff:10.1.0.5'), sampleEndpoint('fd00::1')],
    remotes: [west(['::ffff:203.0.113.7', 'fd00:2::1'])],
    expected: [
      'east ::ffff:10.1.0.5 8080: refused-address',
      'east fd00::1 8080: selected',
      'west ::ffff:203.0.113.7 9090: refused-address',
      'west fd00:2::1 9090: selected',
    ],
  },
  {
    name: 'takes an endpoint for an address, ports and conditions of its own',
    service: service({ ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 0 }] }),
    endpoints: [
      sampleEndpoint('10.1.0.1', { ports: [{ name: 'http', protocol: 'TCP', port: 8080 }], ready: true }),
      sampleEndpoint('10.1.0.1', {
        ports: [{ name: 'http', protocol: 'TCP', port: 9090 }],
        ready: false,
        serving: false,
      }),
    ],
    expected: ['east 10.1.0.1 8080: selected', 'east 10.1.0.1 9090: unready'],
  },
  {
    name: 'believes the better of two words about one place',
    endpoints: [sampleEndpoint('10.1.0.1', { ready: false, serving: false }), sampleEndpoint('10.1.0.1')],
    expected: ['east 10.1.0.1 8080: selected'],
  },
  {
    name: 'believes of two words about one place the one that still serves, then the one of this node, then the first',
    service: service({ internalTrafficPolicy: 'Local', externalTrafficPolicy: 'Local' }),
    endpoints: [
      sampleEndpoint('10.1.0.1', { ready: false, serving: false }),
      sampleEndpoint('10.1.0.2', { node: 'node-2' }),
      sampleEndpoint('10.1.0.3'),
      sampleEndpoint('10.1.0.4', { node: 'node-2' }),
      sampleEndpoint('10.1.0.1', { ready: false, terminating: true }),
      sampleEndpoint('10.1.0.2'),
      sampleEndpoint('10.1.0.3', { node: 'node-2' }),
      sampleEndpoint('10.1.0.4', { ready: false, terminating: true }),
    ],
    expected: [
      'east 10.1.0.1 8080: terminating',
      'east 10.1.0.2 8080: selected',
      'east 10.1.0.3 8080: selected',
      'east 10.1.0.4 8080: traffic-policy',
    ],
  },
  {
    name: 'orders clusters by id and then by name, whatever the order in which they were heard',
    remotes: [
      { ...west(['10.2.0.1']), cluster: { name: clusterName('zulu'), id: 2 } },
      { ...west(['10.2.0.1', '10.2.0.2']), cluster: { name: clusterName('alpha'), id: 3 } },
      { ...west(['10.2.0.2']), cluster: { name: clusterName('aaron'), id: 3 } },
    ],
    expected: [
      'zulu 10.2.0.1 9090: selected',
      'aaron 10.2.0.2 9090: selected',
      'alpha 10.2.0.1 9090: duplicate',
      'alpha 10.2.0.2 9090: duplicate',
    ],
  },
  {
    name: 'gives a refusal as the reason where the traffic policy would apply, too',
    service: service({ internalTrafficPolicy: 'Local', externalTrafficPolicy: 'Local' }),
    remotes: [west(['10.2.0.1'], { shared: false })],
    expected: ['west 10.2.0.1 9090: not-shared'],
  },
  {
    name: 'gives affinity as the reason where hints would apply, too',
    service: service({ affinity: 'remote' }),
    endpoints: [sampleEndpoint('10.1.0.1', { zoneHints: ['a'] }), sampleEndpoint('10.1.0.2', { zoneHints: ['b'] })],
    remotes: [west(['10.2.0.1'])],
    expected: ['east 10.1.0.1 8080: affinity', 'east 10.1.0.2 8080: affinity', 'west 10.2.0.1 9090: selected'],
  },
  {
    name: 'follows no hints under traffic policy Local',
    service: service({ internalTrafficPolicy: 'Local', externalTrafficPolicy: 'Local' }),
    endpoints: [sampleEndpoint('10.1.0.1', { zoneHints: ['a'] }), sampleEndpoint('10.1.0.2', { zoneHints: ['b'] })],
    expected: ['east 10.1.0.1 8080: selected', 'east 10.1.0.2 8080: selected'],
  },
  {
    name: 'follows no hints among backends that are all terminating',
    endpoints: ['a', 'b'].map((zone, index) =>
      sampleEndpoint(`10.1.0.${index + 1}`, { zoneHints: [zone], ready: false, terminating: true }),
    ),
    expected: ['east 10.1.0.1 8080: selected', 'east 10.1.0.2 8080: selected'],
  },
  {
    name: 'keeps to the zone that hints give, and only locally',
    endpoints: [
      sampleEndpoint('10.1.0.1', { zoneHints: ['a'] }),
      sampleEndpoint('10.1.0.2', { zoneHints: ['b'] }),
      sampleEndpoint('10.1.0.3', { ready: false, serving: false }),
    ],
    remotes: [west(['10.2.0.1'])],
    expected: [
      'east 10.1.0.1 8080: selected',
      'east 10.1.0.2 8080: topology',
      'east 10.1.0.3 8080: unready',
      'west 10.2.0.1 9090: selected',
    ],
  },
  {
    name: 'keeps to the node before the zone',
    endpoints: [
      sampleEndpoint('10.1.0.1', { zoneHints: ['a'], nodeHints: ['node-2'] }),
      sampleEndpoint('10.1.0.2', { zoneHints: ['b'], nodeHints: ['node-1'] }),
    ],
    expected: ['east 10.1.0.1 8080: topology', 'east 10.1.0.2 8080: selected'],
  },
  {
    name: 'counts backends of other clusters as close as their zone is, when the Service stays close',
    service: service({ staysClose: true }),
    endpoints: [sampleEndpoint('10.1.0.1', { zoneHints: ['a'] }), sampleEndpoint('10.1.0.2', { zoneHints: ['b'] })],
    remotes: [inZone('a', '10.2.0.1'), { ...inZone('b', '10.3.0.1'), cluster: { name: clusterName('north'), id: 3 } }],
    expected: [
      'east 10.1.0.1 8080: selected',
      'east 10.1.0.2 8080: topology',
      'north 10.3.0.1 9090: topology',
      'west 10.2.0.1 9090: selected',
    ],
  },
  {
    name: 'goes to another cluster in this zone before its own in another, when the Service stays close',
    service: service({ staysClose: true }),
    endpoints: [sampleEndpoint('10.1.0.1', { zoneHints: ['b'] })],
    remotes: [inZone('a', '10.2.0.1')],
    expected: ['east 10.1.0.1 8080: topology', 'west 10.2.0.1 9090: selected'],
  },
  {
    name: 'goes everywhere when the Service stays close and nobody is, or a ready endpoint has no hint',
    service: service({ staysClose: true }),
    endpoints: [sampleEndpoint('10.1.0.1')],
    remotes: [inZone('a', '10.2.0.1'), { ...inZone('', '10.3.0.1'), cluster: { name: clusterName('north'), id: 3 } }],
    expected: ['east 10.1.0.1 8080: selected', 'north 10.3.0.1 9090: selected', 'west 10.2.0.1 9090: selected'],
  },
  {
    name: 'stays on the node when the Service stays close and the hints name it',
    service: service({ staysClose: true }),
    endpoints: [
      sampleEndpoint('10.1.0.1', { nodeHints: ['node-1'], zoneHints: ['a'] }),
      sampleEndpoint('10.1.0.2', { nodeHints: ['node-2'], zoneHints: ['a'] }),
    ],
    remotes: [inZone('a', '10.2.0.1')],
    expected: ['east 10.1.0.1 8080: selected', 'east 10.1.0.2 8080: topology', 'west 10.2.0.1 9090: topology'],
  },
  {
    name: 'follows no hints that a ready endpoint lacks',
    endpoints: [sampleEndpoint('10.1.0.1', { zoneHints: ['a'] }), sampleEndpoint('10.1.0.2')],
    expected: ['east 10.1.0.1 8080: selected', 'east 10.1.0.2 8080: selected'],
  },
  {
    name: 'follows no hints that mean others only',
    endpoints: [sampleEndpoint('10.1.0.1', { zoneHints: ['b'] }), sampleEndpoint('10.1.0.2', { zoneHints: ['c'] })],
    expected: ['east 10.1.0.1 8080: selected', 'east 10.1.0.2 8080: selected'],
  },
  {
    name: 'keeps clusters of weight 0, and those that are not named, for when no other can serve',
    service: service({
      clusterWeights: new Map([
        [EAST.name, 90],
        [WEST.name, 0],
      ]),
    }),
    endpoints: [sampleEndpoint('10.1.0.1')],
    remotes: [west(['10.2.0.1']), { ...west(['10.3.0.1']), cluster: { name: clusterName('north'), id: 3 } }],
    expected: ['east 10.1.0.1 8080: selected', 'north 10.3.0.1 9090: weight', 'west 10.2.0.1 9090: weight'],
  },
  {
    name: 'uses them all when no other can serve',
    service: service({
      clusterWeights: new Map([
        [EAST.name, 90],
        [WEST.name, 0],
      ]),
    }),
    endpoints: [sampleEndpoint('10.1.0.1', { ready: false, serving: false })],
    remotes: [west(['10.2.0.1'])],
    expected: ['east 10.1.0.1 8080: unready', 'west 10.2.0.1 9090: selected'],
  },
  {
    name: 'takes no more of one cluster than its allowance, the first in order',
    remotes: [{ ...west(['10.2.0.3', '10.2.0.1', '10.2.0.2']), allowance: 2 }],
    expected: ['west 10.2.0.1 9090: selected', 'west 10.2.0.2 9090: selected', 'west 10.2.0.3 9090: quota'],
  },
  {
    name: 'does not count what is refused against the allowance',
    remotes: [{ ...west(['10.1.9.9', '10.2.0.1', '10.2.0.2']), allowance: 1 }],
    expected: ['west 10.1.9.9 9090: refused-address', 'west 10.2.0.1 9090: selected', 'west 10.2.0.2 9090: quota'],
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
    name: 'shows the backends of a headless Service, of whatever family',
    service: service({ clusterIps: [] }),
    endpoints: [sampleEndpoint('10.1.0.1')],
    remotes: [west(['fd00:2::1'])],
    expected: ['east 10.1.0.1 8080: selected', 'west fd00:2::1 9090: selected'],
  },
];

describe('mergeRoutes(), with weights', () => {
  const sharesIn = (given: Parameters<typeof facts>[0]): Readonly<Record<string, number>> => {
    const [route] = mergeRoutes(CONTEXT, facts(given)).routes;
    const byAddress = Map.groupBy(route?.backends ?? [], ({ address }) => address);
    return Object.fromEntries([...byAddress].map(([address, { length }]) => [address, length]));
  };
  const clusterWeights = new Map([
    [EAST.name, 90],
    [WEST.name, 10],
  ]);
  const three = ['10.1.0.1', '10.1.0.2', '10.1.0.3'].map((address) => sampleEndpoint(address));

  it('gives each cluster its part, however many backends it has', () => {
    const given = { service: service({ clusterWeights }), endpoints: three, remotes: [west(['10.2.0.1', '10.2.0.2'])] };
    const shares = { '10.1.0.1': 6, '10.1.0.2': 6, '10.1.0.3': 6, '10.2.0.1': 1, '10.2.0.2': 1 };
    assert.deepEqual(sharesIn(given), shares);
    const said = explainService(CONTEXT, facts(given)).groups[0]?.decisions.map(({ detail, weight }) => [
      detail,
      weight,
    ]);
    assert.deepEqual(said?.[0], ['in use; its cluster gets 90 of 100 connections', 30]);
    assert.deepEqual(said?.at(-1), ['in use; its cluster gets 10 of 100 connections', 5]);
  });

  it('gives the part of a cluster that has none to the others', () => {
    const given = { service: service({ clusterWeights }), remotes: [west(['10.2.0.1', '10.2.0.2'])] };
    assert.deepEqual(sharesIn(given), { '10.2.0.1': 1, '10.2.0.2': 1 });
  });

  it('weighs nothing in a Service that takes no part in the mesh', () => {
    const given = facts({ service: service({ global: false, clusterWeights }), endpoints: three });
    const [route] = mergeRoutes({ ...CONTEXT, scope: 'all' }, given).routes;
    assert.equal(route?.backends.length, 3);
  });
});

describe('explainService()', () => {
  for (const { name, expected, ...given } of CASES) {
    it(name, () => assert.deepEqual(verdicts(explainService(CONTEXT, facts(given))), expected));
  }

  it('has external addresses and NodePorts only in families in which the Service has a cluster IP, as kube-proxy', () => {
    const reached = (...clusterIps: readonly string[]): readonly string[] => {
      const here = service({
        clusterIps: clusterIps.map(ip),
        externalIps: ['192.0.2.7', 'fd00:7::7'].map(ip),
        loadBalancerIps: ['198.51.100.1', 'fd00:7::8'].map(ip),
        ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 }],
      });
      const { groups } = explainService(CONTEXT, facts({ service: here }));
      return groups.flatMap(({ frontends }) => frontends.map(({ address }) => address));
    };
    assert.deepEqual(reached('10.96.0.1'), ['10.96.0.1', '192.0.2.7', '198.51.100.1', '0.0.0.0']);
    assert.deepEqual(reached('fd00:96::1'), ['fd00:96::1', 'fd00:7::7', 'fd00:7::8', '::']);
    assert.deepEqual(reached(), []);
    assert.deepEqual(
      frontendsOf(service()).map(({ kind, address }) => [kind, address]),
      [['ClusterIP', '10.96.0.1']],
    );
  });

  it('counts an external IP that a load balancer gave, too, as the load balancer’s', () => {
    const here = service({ externalIps: [ip('192.0.2.7')], loadBalancerIps: [ip('192.0.2.7')] });
    const [group] = explainService(CONTEXT, facts({ service: here })).groups;
    assert.deepEqual(
      group?.frontends.map(({ kind }) => kind),
      ['ClusterIP', 'LoadBalancer'],
    );
  });

  it('leads clients inside to every backend, and those outside to this node’s, under external policy Local', () => {
    const here = service({
      externalTrafficPolicy: 'Local',
      ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 }],
    });
    const endpoints = [sampleEndpoint('10.1.0.2', { node: 'node-2' })];
    const { groups } = explainService(CONTEXT, facts({ service: here, endpoints }));
    assert.deepEqual(
      groups.map(({ clients, frontends, decisions }) => [
        clients,
        frontends.map(({ kind }) => kind),
        decisions.map(({ verdict }) => verdict),
      ]),
      [
        ['all', ['ClusterIP'], ['selected']],
        ['inside', ['NodePort'], ['selected']],
        ['outside', ['NodePort'], ['traffic-policy']],
      ],
    );
    const [cluster, node] = mergeRoutes(CONTEXT, facts({ service: here, endpoints })).routes;
    assert.deepEqual([cluster?.backends.length, cluster?.outside], [1, undefined]);
    assert.deepEqual([node?.frontend.kind, node?.backends.length, node?.outside], ['NodePort', 1, []]);
  });

  it('limits whom the address of a load balancer is for, by the ranges of its family, unless they are open to all', () => {
    const rangesOf = (...ranges: readonly string[]) => {
      const here = service({
        externalIps: [ip('192.0.2.7')],
        loadBalancerIps: [ip('198.51.100.1')],
        sourceRanges: ranges.map(cidr),
        ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 }],
      });
      const { routes } = mergeRoutes(CONTEXT, facts({ service: here }));
      return routes.flatMap(({ frontend: { kind }, sourceRanges }) =>
        sourceRanges ? [[kind, ...sourceRanges.map(formatCidr)]] : [],
      );
    };
    assert.deepEqual(rangesOf(), []);
    assert.deepEqual(rangesOf('203.0.113.0/24', 'fd00::/8'), [['LoadBalancer', '203.0.113.0/24']]);
    assert.deepEqual(rangesOf('203.0.113.0/24', '0.0.0.0/0'), []);
    assert.deepEqual(rangesOf('fd00::/8'), []);
  });

  it('splits frontends where the internal policy alone is Local', () => {
    const here = service({
      internalTrafficPolicy: 'Local',
      ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 }],
    });
    const { groups } = explainService(CONTEXT, facts({ service: here }));
    assert.deepEqual(
      groups.map(({ clients, frontends }) => [clients, frontends.map(({ kind }) => kind)]),
      [
        ['all', ['ClusterIP']],
        ['all', ['NodePort']],
      ],
    );
  });

  it('programs global Services beside kube-proxy, and all in its place', () => {
    const programmed = (scope: ServiceScope, global: boolean, takesPart = true) =>
      isProgrammed({ scope }, facts({ service: service({ global }), takesPart }));
    assert.deepEqual(
      [programmed('global', true), programmed('global', true, false), programmed('global', false)],
      [true, false, false],
    );
    assert.deepEqual([programmed('all', false), programmed('all', true, false)], [true, true]);
  });

  it('leaves out frontends that are refused, and says why', () => {
    const here = facts({
      service: service({ externalIps: [ip('192.0.2.7')] }),
      refusedFrontends: new Map([['192.0.2.7:80/TCP', 'shop/till has it']]),
    });
    assert.deepEqual(
      mergeRoutes(CONTEXT, here).routes.map(({ frontend }) => frontend.address),
      ['10.96.0.1'],
    );
    const [group] = explainService(CONTEXT, here).groups;
    assert.deepEqual(
      group?.frontends.map(({ address }) => address),
      ['10.96.0.1'],
    );
    assert.deepEqual(
      group?.refused.map(({ frontend, reason }) => [frontend.address, reason]),
      [['192.0.2.7', 'shop/till has it']],
    );
  });

  it('puts no more behind one frontend than the kernel takes, the first in order', () => {
    const ports = Array.from({ length: MOST_BACKENDS + 2 }, (_, at) => ({
      name: 'http',
      protocol: 'TCP' as const,
      port: at + 1,
    }));
    const endpoints = [sampleEndpoint('10.1.0.1', { ports })];
    const used = mergeRoutes(CONTEXT, facts({ endpoints })).routes[0]?.backends;
    assert.deepEqual([used?.length, used?.at(-1)?.port], [MOST_BACKENDS, MOST_BACKENDS]);
  });

  it('lists the backends of one address in the order of their ports', () => {
    const ports = [9, 8, 10].map((port) => ({ name: 'http', protocol: 'TCP' as const, port }));
    const listed = (given: Partial<ServiceFacts>) => {
      const [route] = mergeRoutes(CONTEXT, facts(given)).routes;
      const [group] = explainService(CONTEXT, facts(given)).groups;
      return [route?.backends.map(({ port }) => port), group?.decisions.map(({ backend }) => backend.port)];
    };
    const inOrder = [
      [8, 9, 10],
      [8, 9, 10],
    ];
    assert.deepEqual(listed({ endpoints: [sampleEndpoint('10.1.0.1', { ports })] }), inOrder);
    const { unmatched } = explainService(CONTEXT, facts({ endpoints: [sampleEndpoint('fd00::1', { ports })] }));
    assert.deepEqual(
      unmatched.map(({ backend }) => backend.port),
      [8, 9, 10],
    );
    const backends = [{ address: ip('10.2.0.1'), ports, zone: '' }];
    assert.deepEqual(listed({ remotes: [west([], { backends })] }), inOrder);
  });

  it('says how much each cluster wants in use, whatever it may', () => {
    const remotes = [{ ...west(['10.2.0.1', '10.2.0.2', '10.2.0.3']), allowance: 0 }];
    const wanted = (remotePerFrontend: number) =>
      mergeRoutes({ ...CONTEXT, remotePerFrontend }, facts({ remotes })).wanted.get(WEST.name);
    assert.deepEqual([wanted(100), wanted(2)], [3, 2]);
  });

  it('collects several names of one target port into one backend', () => {
    const ports: readonly BackendPort[] = [
      ...['web', 'http', ''].map((name) => ({ name, protocol: 'TCP' as const, port: 8080 })),
      { name: 'other-protocol', protocol: 'UDP', port: 8080 },
      { name: 'other-port', protocol: 'TCP', port: 8081 },
    ];
    const { groups } = explainService(CONTEXT, facts({ endpoints: [sampleEndpoint('10.1.0.1', { ports })] }));
    assert.deepEqual(
      groups[0]?.decisions.map(({ backend }) => backend.portNames),
      [['http', 'web']],
    );
  });
});

/** docs/compatibility.md has this table: what a port here takes of a port elsewhere. */
const PORTS: readonly {
  readonly here: string;
  readonly there: string;
  /** Under which number the other cluster reaches its Service at that port; 0: it says nothing (headless). */
  readonly number: number;
  readonly meet: boolean;
}[] = [
  { here: 'http', there: 'http', number: 80, meet: true },
  { here: 'http', there: 'http', number: 8000, meet: true },
  { here: 'http', there: 'web', number: 80, meet: false },
  { here: 'http', there: '', number: 80, meet: true },
  { here: 'http', there: '', number: 8000, meet: false },
  { here: 'http', there: '', number: 0, meet: false },
  { here: '', there: 'http', number: 80, meet: true },
  { here: '', there: 'http', number: 8000, meet: false },
  { here: '', there: 'http', number: 0, meet: false },
  { here: '', there: '', number: 80, meet: true },
  { here: '', there: '', number: 8000, meet: true },
  { here: '', there: '', number: 0, meet: true },
];

describe('ports of other clusters', () => {
  const used = (here: string, ports: readonly BackendPort[], frontendPorts: readonly BackendPort[]): number => {
    const own = service({ ports: [{ name: here, protocol: 'TCP', port: 80, nodePort: 0 }] });
    const backends = [{ address: ip('10.2.0.1'), ports, zone: '' }];
    const [route] = mergeRoutes(
      CONTEXT,
      facts({ service: own, remotes: [west([], { backends, frontendPorts })] }),
    ).routes;
    return route?.backends.length ?? 0;
  };
  const tcp = (name: string, port: number): BackendPort => ({ name, protocol: 'TCP', port });

  for (const { here, there, number, meet } of PORTS) {
    const title = `port ${here || '(unnamed)'} 80 here and ${there || '(unnamed)'} ${number || '(unknown)'} there`;
    it(`${title} ${meet ? 'meet' : 'do not meet'}`, () => {
      assert.equal(used(here, [tcp(there, 9090)], number === 0 ? [] : [tcp(there, number)]), meet ? 1 : 0);
    });
  }

  it('never meet across protocols', () => {
    assert.equal(used('http', [{ name: 'http', protocol: 'UDP', port: 9090 }], [tcp('http', 80)]), 0);
    assert.equal(used('', [tcp('http', 9090)], [{ name: 'http', protocol: 'UDP', port: 80 }]), 0);
  });

  it('are matched by name only within this cluster, as kube-proxy does', () => {
    const own = service({ ports: [{ name: '', protocol: 'TCP', port: 80, nodePort: 0 }] });
    const endpoint = (name: string): LocalEndpoint => sampleEndpoint('10.1.0.1', { ports: [tcp(name, 8080)] });
    const count = (name: string) =>
      mergeRoutes(CONTEXT, facts({ service: own, endpoints: [endpoint(name)] })).routes[0]?.backends.length;
    assert.deepEqual([count(''), count('http')], [1, 0]);
  });
});
