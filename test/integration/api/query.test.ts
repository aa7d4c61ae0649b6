import assert from 'node:assert/strict';
import { AgentError } from '@tombolo/cli/agent-error.ts';
import {
  EAST,
  leftOut,
  sampleBackend,
  sampleCluster,
  sampleEntry,
  sampleGroup,
  sampleWeb,
  selected,
  WEST,
} from '@tombolo/node-agent/api/fake-source.fixture.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { ApiFixture, collect } from './fixture.ts';

const ALL = { namespace: '', name: '', globalOnly: false };

for (const kind of ['unix', 'tcp'] as const) {
  describe(`the API over ${kind}`, () => {
    let api: ApiFixture;
    let address: string;
    beforeEach(async () => {
      api = await ApiFixture.create();
      address = (await api.serve(kind === 'tcp' ? { address: '127.0.0.1:0' } : {})).address;
    });
    afterEach(() => api.close());

    const names = async (filter: Partial<typeof ALL>): Promise<readonly string[]> => {
      const messages = await collect(api.client(address).listServices({ ...ALL, ...filter }));
      return messages.flatMap(({ services }) => services.map(({ namespace, name }) => `${namespace}/${name}`));
    };

    it('lists services by filter, and says the revision even when there are none', async () => {
      assert.deepEqual(await collect(api.client(address).listServices(ALL)), [{ services: [], revision: 0 }]);
      api.source.set(sampleWeb(), sampleEntry('db', [], { global: false }));
      const other = sampleEntry('web', [], { key: serviceKey('shop', 'web') });
      api.source.set(other);
      assert.deepEqual(await names({}), ['default/db', 'default/web', 'shop/web']);
      assert.deepEqual(await names({ namespace: 'default' }), ['default/db', 'default/web']);
      assert.deepEqual(await names({ name: 'web' }), ['default/web', 'shop/web']);
      assert.deepEqual(await names({ namespace: 'shop', name: 'web' }), ['shop/web']);
      assert.deepEqual(await names({ globalOnly: true }), ['default/web', 'shop/web']);
      assert.deepEqual(await names({ namespace: 'none' }), []);
    });

    it('gets one service, and says NOT_FOUND with its name', async () => {
      api.source.set(sampleWeb());
      const client = api.client(address);
      const { revision, service } = await client.getService('default', 'web');
      assert.equal(revision, 1);
      assert.deepEqual(
        service?.groups[0]?.backends.map(({ address: a, verdict, stale }) => [a, verdict, stale]),
        [
          ['10.1.0.5', 'VERDICT_SELECTED', false],
          ['10.2.0.5', 'VERDICT_SELECTED', true],
          ['10.2.0.6', 'VERDICT_UNREADY', false],
        ],
      );
      await assert.rejects(client.getService('default', 'nope'), {
        kind: 'not-found',
        message: 'Service default/nope is not known to any cluster',
      });
      await assert.rejects(client.getService('', 'web'), /named by namespace and name/);
    });

    it('lists clusters, the local one first', async () => {
      api.source.setCluster(
        sampleCluster(WEST, { control: 'silent', quarantined: [{ key: 'k', reason: 'r', at: 5 }] }),
      );
      api.source.setCluster(sampleCluster(EAST));
      const clusters = await collect(api.client(address).listClusters());
      assert.deepEqual(
        clusters.map(({ cluster }) => [cluster?.name, cluster?.control, cluster?.quarantinedCount]),
        [
          ['east', 'CONTROL_STATE_HEARD', 0],
          ['west', 'CONTROL_STATE_SILENT', 1],
        ],
      );
    });

    it('tells its status', async () => {
      api.source.set(sampleWeb());
      api.source.setCluster(sampleCluster(EAST));
      const parts = new Map([['mesh', { kind: 'degraded', reason: 'west is silent' } as const]]);
      api.source.agent = { ...api.source.agent, parts };
      const status = await api.client(address).getStatus();
      assert.equal(status.node, 'n1');
      assert.equal(status.tableRevision, 1);
      assert.equal(status.clustersHeard, 1);
      assert.equal(status.ready, true);
      assert.deepEqual(structuredClone(status.parts), [
        { name: 'mesh', state: 'HEALTH_STATE_DEGRADED', reason: 'west is silent' },
      ]);
    });

    it('resolves a backend, and refuses with the right code', async () => {
      const none = leftOut(sampleBackend('10.1.0.9', { state: 'unready' }), 'unready', 'not ready');
      api.source.set(sampleWeb(), sampleEntry('down', [sampleGroup([none])]));
      const client = api.client(address);
      const request = {
        namespace: 'default',
        name: 'web',
        port: 'portName',
        portName: 'http',
        protocol: 'PROTOCOL_TCP',
        family: 'IP_FAMILY_IPV4',
        clientKey: 'c1',
      } as const;
      const first = await client.resolveBackend(request);
      assert.equal(first.backend?.verdict, 'VERDICT_SELECTED');
      assert.equal(first.alternatives, 1);
      assert.equal(first.port?.port, 80);
      const again = await client.resolveBackend(request);
      assert.equal(again.backend?.address, first.backend?.address);
      await assert.rejects(client.resolveBackend({ ...request, name: 'nope' }), { kind: 'not-found' });
      await assert.rejects(client.resolveBackend({ ...request, name: 'down' }), /no usable backend among 1: 1 unready/);
    });
  });
}

describe('the API with 50,000 services', () => {
  let api: ApiFixture;
  before(async () => {
    api = await ApiFixture.create();
    const backends = [1, 2, 3, 4].map((i) => selected(sampleBackend(`10.1.0.${i}`)));
    const groups = [sampleGroup(backends)];
    api.source.set(...Array.from({ length: 50_000 }, (_, i) => sampleEntry(`svc-${i}`, groups)));
    await api.serve();
  });
  after(() => api.close());

  it('lists all of them to a client with the default limits, at one revision, while the table changes', async function () {
    this.timeout(60_000);
    let count = 0;
    const revisions = new Set<number>();
    for await (const { revision, services } of api.client().listServices(ALL)) {
      count += services.length;
      revisions.add(revision);
      api.source.set(sampleWeb());
    }
    assert.equal(count, 50_000);
    assert.deepEqual([...revisions], [1]);
  });

  it('answers others while it lists', async function () {
    this.timeout(60_000);
    const list = api.client().listServices(ALL);
    await list.next();
    await api.client().getStatus();
    await list.return(undefined);
  });

  it('gives a service with 20,000 backends in parts', async function () {
    this.timeout(60_000);
    const address = (i: number): string => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
    const backends = Array.from({ length: 20_000 }, (_, i) => selected(sampleBackend(address(i))));
    api.source.set(sampleEntry('big', [sampleGroup(backends)]));
    const { service } = await api.client().getService('default', 'big');
    assert.equal(service?.moreBackends, true);
    assert.equal(service?.selectedCount, 20_000);
    const messages = await collect(api.client().listServices({ ...ALL, namespace: 'default', name: 'big' }));
    const parts = messages.flatMap(({ services }) => services);
    assert.equal(parts.flatMap(({ groups }) => groups.flatMap((group) => group.backends)).length, 20_000);
  });

  it('refuses a request that is absurdly large', async () => {
    await assert.rejects(api.client().getService('default', 'x'.repeat(100_000)), AgentError);
  });
});
