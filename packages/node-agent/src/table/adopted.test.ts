import assert from 'node:assert/strict';
import { KEY } from '@tombolo/shared/merge/world.fixture.ts';
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import { sampleRemote, sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import { type BackendPort, type LocalService, serviceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts } from '@tombolo/shared/model/service-table.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import { adoptedClusters, servesSaved } from './adopted.ts';
import { headLine, parseState, type SavedState, serviceLine } from './saved-state.ts';

const EAST: ClusterIdentity = { name: 'east' as ClusterName, id: 1 };
const WEST: ClusterIdentity = { name: 'west' as ClusterName, id: 2 };
const AUTHOR = { cluster: EAST, node: 'node-1' };
const service = sampleService(KEY, { ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 }] });

const route = (address: string, port: number, remote: readonly string[] = ['10.2.0.1']): FrontendRoute => ({
  frontend: { kind: 'ClusterIP', address: ip(address), port, protocol: 'TCP' },
  backends: [
    { address: ip('10.1.0.1'), port: 8080, clusterId: 1 },
    ...remote.map((each) => ({ address: ip(each), port: 9090, clusterId: 2 })),
  ],
  sessionAffinitySeconds: 0,
});

const facts = (here: LocalService, addresses: readonly string[]): ServiceFacts => ({
  key: here.key,
  service: here,
  takesPart: true,
  endpoints: [],
  remotes: [{ cluster: WEST, view: { kind: 'synced' }, service: sampleRemote(addresses, { key: here.key }) }],
  refusedFrontends: new Map(),
});

/** What an agent saves while it has these facts and the kernel these routes, as the next one reads it. */
function saved(known: readonly ServiceFacts[], routes: readonly FrontendRoute[], author = AUTHOR): SavedState {
  const byId = new Map(routes.map((each) => [frontendId(each.frontend), each]));
  const lines = known.flatMap((each) => serviceLine(each, byId) ?? []);
  const state = parseState([headLine(author, new Map([[WEST.name, WEST.id]])), ...lines].join('\n'), author);
  assert.ok(state.ok);
  return state.value;
}

const adopted = (kernel: readonly FrontendRoute[], here: readonly LocalService[], state: SavedState | undefined) =>
  adoptedClusters(kernel, new Map(here.map((each) => [each.key, each])), EAST.id, state).map(
    ({ identity, services }) => [
      `${identity.name}=${identity.id}`,
      ...[...services].map(([key, said]) => `${key}: ${said.backends.map(({ address }) => address).join(' ')}`),
    ],
  );

describe('adoptedClusters()', () => {
  it('finds the Service and port name of what the kernel has of other clusters, if nothing was saved', () => {
    const kernel = [route('10.96.0.1', 80), route('0.0.0.0', 30080), route('10.96.0.9', 80)];
    const [cluster] = adoptedClusters(kernel, new Map([[KEY, service]]), EAST.id, undefined);
    assert.deepEqual(cluster?.identity, { id: 2, name: 'cluster-id-2' });
    assert.deepEqual(cluster?.services.get(KEY)?.backends, [
      { address: '10.2.0.1', ports: [{ name: 'http', protocol: 'TCP', port: 9090 }], zone: '' },
    ]);
  });

  it('knows by name what it had by id, and what was not in use, with its ports', () => {
    const kernel = [route('10.96.0.1', 80, [])];
    const state = saved([facts(service, ['10.2.0.1', '10.2.0.2'])], kernel);
    const [cluster] = adoptedClusters(kernel, new Map([[KEY, service]]), EAST.id, state);
    assert.deepEqual(cluster?.identity, WEST);
    const said = cluster?.services.get(KEY);
    assert.deepEqual(said, { ...sampleRemote(['10.2.0.1', '10.2.0.2']), origin: said?.origin });
  });

  it('believes the kernel where it was told something since', () => {
    const state = saved(
      [facts(service, ['10.2.0.1', '10.2.0.2', '10.2.0.3'])],
      [route('10.96.0.1', 80, ['10.2.0.1', '10.2.0.2'])],
    );
    // 10.2.0.1 was taken out and 10.2.0.4 put in; 10.2.0.3 was never in use.
    assert.deepEqual(adopted([route('10.96.0.1', 80, ['10.2.0.2', '10.2.0.4'])], [service], state), [
      ['west=2', 'shop/cart: 10.2.0.2 10.2.0.3 10.2.0.4'],
    ]);
  });

  it('gives a Service nothing of another one that had its address or its name', () => {
    const kernel = [route('10.96.0.1', 80)];
    const state = saved([facts(service, ['10.2.0.1'])], kernel);
    const other = { ...service, key: serviceKey('shop', 'till'), uid: 'another' };
    assert.deepEqual(adopted(kernel, [other], state), []);
    assert.deepEqual(adopted(kernel, [{ ...service, uid: 'anew' }], state), []);
    assert.deepEqual(adopted(kernel, [service], state), [['west=2', 'shop/cart: 10.2.0.1']]);
  });

  it('believes nothing in use that was saved when the kernel has nothing of it', () => {
    const state = saved([facts(service, ['10.2.0.1'])], [route('10.96.0.1', 80)]);
    assert.deepEqual(adopted([], [service], state), []);
    assert.deepEqual(adopted([route('10.96.0.9', 80)], [service], state), []);
  });

  it('believes what was not in use, also when the kernel has nothing of the Service, which may have taken no part', () => {
    const state = saved([facts(service, ['10.2.0.1'])], []);
    assert.deepEqual(adopted([], [service], state), [['west=2', 'shop/cart: 10.2.0.1']]);
  });

  it('keeps with affinity local what the kernel has nothing of any more: all others may be standing by', () => {
    const standby = { ...service, affinity: 'local' } as const;
    const state = saved([facts(standby, ['10.2.0.1', '10.2.0.2'])], [route('10.96.0.1', 80, ['10.2.0.1', '10.2.0.2'])]);
    assert.deepEqual(adopted([route('10.96.0.1', 80, [])], [standby], state), [
      ['west=2', 'shop/cart: 10.2.0.1 10.2.0.2'],
    ]);
    assert.deepEqual(adopted([route('10.96.0.1', 80, ['10.2.0.2'])], [standby], state), [
      ['west=2', 'shop/cart: 10.2.0.2'],
    ]);
  });

  it('takes nothing of this cluster for another one’s, also when it had another id', () => {
    const kernel = [route('10.96.0.1', 80, [])];
    const state = saved([], [], { ...AUTHOR, cluster: { ...EAST, id: 1 } });
    const services = new Map([[KEY, service]]);
    assert.deepEqual(adoptedClusters(kernel, services, 7, state), []);
    assert.deepEqual(
      adoptedClusters(kernel, services, 7, undefined).map(({ identity }) => identity.id),
      [1],
    );
  });

  it('knows the cluster by name also where nothing of the Service was saved', () => {
    const state = saved([], []);
    assert.deepEqual(adopted([route('10.96.0.1', 80)], [service], state), [['west=2', 'shop/cart: 10.2.0.1']]);
  });

  it('gives a Service that was made anew nothing of what the kernel has at its new addresses', () => {
    const state = saved([facts(service, ['10.2.0.1'])], [route('10.96.0.1', 80)]);
    const anew = { ...service, uid: 'anew', clusterIps: [ip('10.96.0.7')] };
    assert.deepEqual(adopted([route('10.96.0.7', 80)], [anew], state), []);
  });

  it('adopts what is behind a frontend that the Service got after the last saving', () => {
    const before = sampleService(KEY);
    const state = saved([facts(before, ['10.2.0.1'])], [route('10.96.0.1', 80)]);
    const kernel = [route('10.96.0.1', 80), route('0.0.0.0', 30080, ['10.2.0.1', '10.2.0.9'])];
    assert.deepEqual(adopted(kernel, [service], state), [['west=2', 'shop/cart: 10.2.0.1 10.2.0.9']]);
  });

  it('adopts what was programmed after the last saving', () => {
    const till = sampleService(serviceKey('shop', 'till'), { clusterIps: [ip('10.96.0.2')] });
    const state = saved([facts(service, ['10.2.0.1'])], [route('10.96.0.1', 80)]);
    assert.deepEqual(adopted([route('10.96.0.1', 80), route('10.96.0.2', 80, ['10.2.0.8'])], [service, till], state), [
      ['west=2', 'shop/cart: 10.2.0.1', 'shop/till: 10.2.0.8'],
    ]);
  });
});

describe('servesSaved()', () => {
  it('tells whether each backend that was in use is behind one of the frontends of its Service', () => {
    const state = saved(
      [facts(service, ['10.2.0.1', '10.2.0.2', '10.2.0.3'])],
      [route('10.96.0.1', 80, ['10.2.0.1', '10.2.0.2'])],
    );
    const serves = (...kernel: readonly FrontendRoute[]) => servesSaved(kernel, state);
    assert.equal(serves(route('10.96.0.1', 80, ['10.2.0.1', '10.2.0.2'])), true);
    assert.equal(serves(route('10.96.0.1', 80, ['10.2.0.1']), route('0.0.0.0', 30080, ['10.2.0.2'])), true);
    assert.equal(serves(route('10.96.0.1', 80, ['10.2.0.1']), route('10.96.0.9', 80, ['10.2.0.2'])), false);
    assert.equal(serves(), false);
    assert.equal(servesSaved([], undefined), true);
  });
});

describe('serviceLine()', () => {
  it('says nothing of Services that are not here, or that no other cluster has', () => {
    const line = (fields: Partial<ServiceFacts>) =>
      serviceLine({ ...facts(service, ['10.2.0.1']), ...fields }, new Map());
    assert.equal(line({ remotes: [] }), undefined);
    assert.equal(line({ service: undefined }), undefined);
    assert.notEqual(line({ service: { ...service, global: false } }), undefined);
    assert.notEqual(line({}), undefined);
  });

  it('brings back what was said, whatever it was', () => {
    const [web, dns]: readonly (readonly BackendPort[])[] = [
      [{ name: 'web', protocol: 'TCP', port: 1 }],
      [{ name: 'dns', protocol: 'UDP', port: 2 }],
    ];
    const backend = (address: string, ports: readonly BackendPort[] = []) => ({
      address: ip(address),
      ports,
      zone: 'z',
    });
    const said = sampleRemote([], {
      shared: false,
      terminating: true,
      frontendPorts: [{ name: 'sctp', protocol: 'SCTP', port: 9 }],
      backends: [backend('10.2.0.1', web), backend('10.2.0.2', dns), backend('fd00::3', web), backend('10.2.0.4', dns)],
      origin: { source: 'kernel', revision: '', at: 0 },
    });
    const remotes = [{ cluster: WEST, view: { kind: 'synced' }, service: said }] as const;
    const state = saved([{ ...facts(service, []), remotes }], [route('10.96.0.1', 80, ['10.2.0.2'])]);
    assert.deepEqual(state.services.get(KEY)?.remotes, [{ cluster: WEST, service: said, used: new Set(['10.2.0.2']) }]);
    assert.deepEqual([...state.clusters], [[WEST.name, WEST.id]]);
  });
});

describe('parseState()', () => {
  const state = (text: string, author = AUTHOR) => parseState(text, author);

  it('refuses the state of another node or version, and text that is none', () => {
    const head = headLine(AUTHOR, new Map());
    assert.ok(state(head).ok);
    assert.ok(!state(head, { ...AUTHOR, node: 'node-2' }).ok);
    assert.ok(!state(head.replace('"version":1', '"version":2')).ok);
    assert.ok(!state('').ok);
    assert.ok(!state('\0').ok);
  });

  it('is of use when this cluster has got another name or id, and tells the one that it had', () => {
    const parsed = state(headLine(AUTHOR, new Map()), { ...AUTHOR, cluster: { name: WEST.name, id: 7 } });
    assert.equal(parsed.ok && parsed.value.ownId, EAST.id);
  });

  it('passes over lines that cannot be read', () => {
    const line = serviceLine(facts(service, ['10.2.0.1']), new Map()) ?? '';
    const unreadable = ['{"key":', 'null', '{"key":5,"uid":"u"}', '{"key":"shop/x"}', '{"key":"shop/x","uid":5}'];
    const lines = [headLine(AUTHOR, new Map()), ...unreadable, line, line.slice(0, -20)];
    const parsed = state(lines.join('\n'));
    assert.ok(parsed.ok);
    assert.deepEqual([...parsed.value.services.keys()], [KEY]);
  });

  it('passes over whatever in a line cannot be read, and believes the rest', () => {
    const good = { name: 'web', protocol: 'TCP', port: 1 };
    const bad = [
      { ...good, name: 5 },
      ...[1.5, 0, 65_536, '80'].map((port) => ({ ...good, port })),
      ...['XTCP', 'TCPX', 6].map((protocol) => ({ ...good, protocol })),
    ];
    const remote = {
      cluster: 'west',
      id: 2,
      frontendPorts: [...bad, good],
      backends: [
        ['nonsense', 0, '', 1],
        ['10.2.0.9', 7, '', 1],
        ['10.2.0.1', 0, '', 1],
        ['10.2.0.2', 0, '', 0],
      ],
    };
    const line = {
      key: KEY,
      uid: 'u',
      frontends: {},
      remotes: [{ ...remote, id: 0 }, remote],
      ports: [[...bad, good]],
    };
    const head = { version: 1, cluster: 'east', id: 1, node: 'node-1', clusters: [['west', 2], ['far', 0], 'x'] };
    const parsed = state([head, line].map((each) => JSON.stringify(each)).join('\n'));
    assert.ok(parsed.ok);
    assert.deepEqual([...parsed.value.clusters], [['west', 2]]);
    const read = parsed.value.services.get(KEY);
    assert.equal(read?.frontends.size, 0);
    assert.equal(read?.remotes.length, 1);
    const [{ service: said, used } = { service: undefined, used: undefined }] = read?.remotes ?? [];
    assert.deepEqual([said?.frontendPorts, said?.shared, said?.terminating], [[good], false, false]);
    assert.deepEqual(
      said?.backends.map(({ address, ports }) => [address, ports]),
      [
        ['10.2.0.1', [good]],
        ['10.2.0.2', [good]],
      ],
    );
    assert.deepEqual(used, new Set(['10.2.0.1']));
  });
});
