import assert from 'node:assert/strict';
import { cidr, ip, prefixMatcher } from '../model/ip.ts';
import { sampleEndpoint, sampleRemote, sampleService } from '../model/samples.fixture.ts';
import type { LocalEndpoint, LocalService, RemoteContribution } from '../model/service.ts';
import type { Backend, ServiceFacts, Verdict } from '../model/service-table.ts';
import type { MergeContext } from './context.ts';
import { explainService } from './explain-service.ts';
import { EAST, KEY, REMOTES } from './world.fixture.ts';

const [NORTH, WEST] = REMOTES as [(typeof REMOTES)[number], (typeof REMOTES)[number]];
const CONTEXT: MergeContext = {
  local: EAST,
  node: 'node-1',
  zone: 'a',
  scope: 'global',
  ownRanges: prefixMatcher([cidr('10.1.0.0/16')]),
  remotePerFrontend: 2,
};

const facts = (fields: Partial<ServiceFacts>): ServiceFacts => ({
  key: KEY,
  service: sampleService(KEY),
  takesPart: true,
  endpoints: [],
  remotes: [],
  refusedFrontends: new Map(),
  ...fields,
});

const west = (
  addresses: readonly string[],
  service: Partial<RemoteContribution['service']> = {},
  fields: Partial<RemoteContribution> = {},
): RemoteContribution => ({
  cluster: WEST,
  view: { kind: 'synced' },
  service: sampleRemote(addresses, service),
  ...fields,
});

const own = (fields: Partial<LocalService>): LocalService => sampleService(KEY, fields);
const LOCAL = sampleEndpoint('10.1.0.1');
const SILENT = { view: { kind: 'stale', since: 5 } } as const;

/** What is said of the last backend. */
const CASES: readonly (readonly [Partial<ServiceFacts>, verdict: Verdict, detail: string])[] = [
  [{ endpoints: [LOCAL] }, 'selected', 'in use'],
  [{ remotes: [west(['10.2.0.1'])] }, 'selected', 'in use'],
  [{ remotes: [west(['10.2.0.1'], {}, SILENT)] }, 'selected', 'in use as last heard'],
  [
    { endpoints: [sampleEndpoint('10.1.0.1', { ready: false, terminating: true })] },
    'selected',
    'terminating, but nothing else is left',
  ],
  [{ service: own({ affinity: 'local' }), endpoints: [LOCAL] }, 'selected', 'in use; affinity local'],
  [
    { service: own({ affinity: 'remote' }), endpoints: [LOCAL] },
    'selected',
    'in use; affinity remote, but no remote backend is available',
  ],
  [{ service: own({ affinity: 'remote' }), remotes: [west(['10.2.0.1'])] }, 'selected', 'in use; affinity remote'],
  [
    { service: own({ affinity: 'local' }), remotes: [west(['10.2.0.1'], {}, SILENT)] },
    'selected',
    'in use as last heard; affinity local, but no local backend is available',
  ],
  [{ service: undefined, endpoints: [LOCAL] }, 'no-local-service', 'the Service is gone'],
  [
    { service: undefined, remotes: [west(['10.2.0.1'])] },
    'no-local-service',
    'no Service of this name in this cluster',
  ],
  [
    { service: own({ global: false }), remotes: [west(['10.2.0.1'])] },
    'not-global',
    'the Service here is not annotated service.cilium.io/global: "true"',
  ],
  [
    { takesPart: false, remotes: [west(['10.2.0.1'])] },
    'namespace',
    'the namespace here does not take part in the mesh (clustermesh.cilium.io/global, or the default)',
  ],
  [{ remotes: [west(['10.2.0.1'], { shared: false })] }, 'not-shared', 'cluster west does not share it'],
  [{ remotes: [west(['127.0.0.1'])] }, 'refused-address', 'no other cluster may offer a loopback address'],
  [{ remotes: [west(['10.1.0.9'])] }, 'refused-address', "inside this cluster's own range 10.1.0.0/16"],
  [
    { endpoints: [LOCAL], remotes: [west(['10.1.0.1'])] },
    'refused-address',
    "inside this cluster's own range 10.1.0.0/16",
  ],
  [
    { remotes: [west(['10.2.0.0', '10.2.0.1'], {}, { cluster: NORTH }), west(['10.2.0.1'])] },
    'duplicate',
    'cluster north offers the same address and port',
  ],
  [
    {
      service: own({ internalTrafficPolicy: 'Local', externalTrafficPolicy: 'Local' }),
      remotes: [west(['10.2.0.1'])],
    },
    'traffic-policy',
    'traffic policy Local: not on this node',
  ],
  [
    { endpoints: [sampleEndpoint('10.1.0.1', { ready: false, serving: false })] },
    'unready',
    'its endpoint is not ready',
  ],
  [
    { service: own({ affinity: 'local' }), endpoints: [LOCAL], remotes: [west(['10.2.0.1'])] },
    'affinity',
    'affinity local: a local backend is available',
  ],
  [
    { endpoints: [LOCAL], remotes: [west(['10.2.0.1'], { terminating: true })] },
    'terminating',
    'terminating, and others are active',
  ],
  [
    { endpoints: ['a', 'b'].map((zone, at) => sampleEndpoint(`10.1.0.${at}`, { zoneHints: [zone] })) },
    'topology',
    'hints: meant for others than this node and zone',
  ],
  [
    {
      service: own({ staysClose: true }),
      endpoints: [sampleEndpoint('10.1.0.1', { zoneHints: ['a'] })],
      remotes: [west(['10.2.0.1'])],
    },
    'topology',
    'trafficDistribution: not in this zone, and closer backends are',
  ],
  [
    { remotes: [west(['10.2.0.1', '10.2.0.2', '10.2.0.3'])] },
    'quota',
    'cluster west may have 2 for one frontend, and others come first',
  ],
  [
    { remotes: [west(['10.2.0.1', '10.2.0.2'], {}, { allowance: 1 })] },
    'quota',
    'cluster west may have 1 for this Service, and others come first',
  ],
  [{ remotes: [west(['fd00:2::1'])] }, 'address-family', 'the Service has no IPv6 address here'],
  [
    { endpoints: [sampleEndpoint('10.1.0.1', { ports: [{ name: 'web', protocol: 'UDP', port: 1 }] })] },
    'port-name',
    'no UDP port of the Service here has its name (web)',
  ],
  [
    { endpoints: [sampleEndpoint('10.1.0.1', { ports: [{ name: '', protocol: 'TCP', port: 1 }] })] },
    'port-name',
    'no TCP port of the Service here has its name (unnamed)',
  ],
];

describe('explainService() in words', () => {
  for (const [given, verdict, detail] of CASES) {
    it(`says of what is ${verdict}: ${detail}`, () => {
      const { groups, unmatched } = explainService(CONTEXT, facts(given));
      const last = [...groups.flatMap(({ decisions }) => decisions), ...unmatched].at(-1);
      assert.deepEqual([last?.verdict, last?.detail], [verdict, detail]);
    });
  }

  it('names as the owner of a place the cluster that offers both address and port', () => {
    const web = { name: 'http', protocol: 'TCP', port: 8080 } as const;
    const at = (address: string, port: number) => ({ address: ip(address), ports: [{ ...web, port }], zone: '' });
    const remotes = [
      west([], { backends: [at('10.2.0.1', 8081), at('10.2.0.2', 8080)] }, { cluster: { ...NORTH, id: 2 } }),
      west([], { backends: [at('10.2.0.1', 8080)] }, { cluster: { ...EAST, name: WEST.name, id: 3 } }),
      west([], { backends: [at('10.2.0.1', 8080)] }, { cluster: { ...EAST, id: 4 } }),
    ];
    const [group] = explainService(CONTEXT, facts({ remotes })).groups;
    assert.equal(group?.decisions.at(-1)?.detail, 'cluster west offers the same address and port');
  });

  const first = (given: Partial<ServiceFacts>): Backend | undefined => {
    const { groups, unmatched } = explainService(CONTEXT, facts(given));
    return [...groups.flatMap(({ decisions }) => decisions), ...unmatched][0]?.backend;
  };

  it('says where a backend was heard of, and whether its cluster has fallen silent', () => {
    const local: LocalEndpoint = { ...LOCAL, origin: { source: 'kubernetes', revision: '9', at: 7 } };
    const here = first({ endpoints: [local] });
    assert.deepEqual([here?.origin, here?.stale, here?.node], [local.origin, false, 'node-1']);
    const remote = west(['10.2.0.1']);
    const there = first({ remotes: [remote] });
    assert.deepEqual([there?.origin, there?.stale, there?.node], [remote.service.origin, false, '']);
    assert.equal(first({ remotes: [west(['10.2.0.1'], {}, SILENT)] })?.stale, true);
  });

  it('gives the state of what no frontend could use, too', () => {
    const state = (terminating: boolean) => first({ remotes: [west(['fd00:2::1'], { terminating })] })?.state;
    assert.deepEqual([state(false), state(true)], ['active', 'terminating']);
    assert.equal(first({ endpoints: [sampleEndpoint('fd00::1', { ready: false, serving: false })] })?.state, 'unready');
  });

  it('lists the backends of a cluster by number', () => {
    const { groups } = explainService(CONTEXT, facts({ remotes: [west(['10.2.0.10', '10.2.0.9'])] }));
    assert.deepEqual(
      groups[0]?.decisions.map(({ backend }) => backend.address),
      ['10.2.0.9', '10.2.0.10'],
    );
  });
});
