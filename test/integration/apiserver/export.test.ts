import assert from 'node:assert/strict';
import { connectReader } from '@tombolo/shared/etcd/connect.ts';
import type { PrefixEvent } from '@tombolo/shared/etcd/read/reader.ts';
import { TestCluster } from '../../cluster.ts';
import { GLOBAL, populate, until, World } from './world.ts';

const CART = 'cilium/state/services/v1/east/shop/cart';
const CANARIES = ['identities', 'ip', 'nodes', 'services'].map((kind) => `cilium/synced/east/cilium/state/${kind}/v1`);
const backends = (value: string | undefined) => Object.keys(JSON.parse(value ?? '{}').backends ?? {});

describe('clustermesh-apiserver: export', () => {
  let cluster: TestCluster;
  let world: World;
  before(async () => {
    cluster = await TestCluster.start('texport');
  });
  after(() => cluster?.close());
  beforeEach(async () => {
    world = await World.create(cluster);
  });
  afterEach(() => world.close());

  it('writes everything that a reader needs, each kind before its canary, and is ready after all', async () => {
    await populate(world);
    const events: PrefixEvent[] = [];
    const reader = connectReader({ endpoints: [world.etcd.endpoint] });
    const stop = new AbortController();
    const following = reader.follow('cilium/', (event) => events.push(event), stop.signal);
    await until('the watch', () => events.some((event) => event.kind === 'synced'));
    await world.start();
    assert.equal((await world.http('/healthz')).status, 200);
    await world.ready();
    const entries = await world.dump();
    await until('the watch to catch up', () => events.filter((event) => event.kind === 'put').length >= entries.size);
    stop.abort();
    await following;
    reader.close();

    const [id] = [...entries.keys()].flatMap((key) => /identities\/v1\/id\/(\d+)$/.exec(key)?.[1] ?? []);
    assert.deepEqual(
      [...entries.keys()].sort(),
      [
        'cilium/.heartbeat',
        'cilium/cluster-config/east',
        `cilium/state/identities/v1/id/${id}`,
        'cilium/state/ip/v1/default/10.1.0.1',
        'cilium/state/ip/v1/default/10.1.0.2',
        'cilium/state/nodes/v1/east/n1',
        CART,
        ...CANARIES,
      ].sort(),
    );
    assert.equal(
      entries.get('cilium/cluster-config/east'),
      '{"id":1,"capabilities":{"syncedCanaries":true,"maxConnectedClusters":255}}',
    );
    assert.match(entries.get('cilium/.heartbeat') ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.deepEqual(backends(entries.get(CART)), ['10.1.0.1', '10.1.0.2']);
    const node = JSON.parse(entries.get('cilium/state/nodes/v1/east/n1') ?? '{}');
    assert.deepEqual([node.IPv4AllocCIDR.IP, node.IPv6AllocCIDR.IP], ['10.1.0.0', 'fd00:1::']);
    const pod = JSON.parse(entries.get('cilium/state/ip/v1/default/10.1.0.1') ?? '{}');
    assert.deepEqual([pod.ID, pod.HostIP, pod.K8sPodName], [Number(id), '192.168.0.1', 'cart-a']);
    const labels = entries.get(`cilium/state/identities/v1/id/${id}`) ?? '';
    assert.match(
      labels,
      /k8s:app=cart;.*k8s:io.cilium.k8s.policy.cluster=east;.*k8s:io.kubernetes.pod.namespace=shop;/,
    );

    const order = events.flatMap((event) => (event.kind === 'put' ? [event.key] : []));
    for (const canary of CANARIES) {
      const prefix = `${canary.slice('cilium/synced/east/'.length)}/`;
      const last = Math.max(...order.map((key, i) => (key.startsWith(prefix) ? i : -1)));
      assert(last >= 0 && order.indexOf(canary) > last, `${canary} before ${order[last]}`);
    }
    const leases = JSON.parse(await world.etcdctl('get', '--prefix', 'cilium/', '-w', 'json')).kvs;
    for (const { key, lease } of leases) assert(lease > 0, `${Buffer.from(key, 'base64')} has no lease`);
  });

  it('writes all canaries for an empty cluster, too', async () => {
    await world.start();
    await world.ready();
    assert.deepEqual([...(await world.dump('cilium/synced/')).keys()].sort(), CANARIES);
  });

  it('follows what changes: endpoints, sharing, the namespace, pods and nodes', async () => {
    await populate(world);
    await world.start();
    await world.ready();
    const cart = async () => backends((await world.dump(CART)).get(CART)).join(' ');
    const cartIs = (expected: string) => until(`cart to be ${expected}`, async () => (await cart()) === expected);
    const annotate = (path: string, key: string, value: string | null) =>
      world.request('PATCH', path, { metadata: { annotations: { [key]: value } } });

    await world.slice('shop', 'cart-2', 'cart', ['10.1.0.3']);
    await cartIs('10.1.0.1 10.1.0.2 10.1.0.3');
    await world.request('DELETE', '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/cart-1');
    await cartIs('10.1.0.3');
    const label = (value: string | null) =>
      world.request('PATCH', '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/cart-2', {
        metadata: { labels: { 'service.kubernetes.io/headless': value } },
      });
    await label('');
    await cartIs('');
    await label(null);
    await cartIs('10.1.0.3');
    await annotate('/api/v1/namespaces/shop/services/cart', 'service.cilium.io/shared', 'false');
    await cartIs('');
    await annotate('/api/v1/namespaces/shop/services/cart', 'service.cilium.io/shared', null);
    await cartIs('10.1.0.3');
    await annotate('/api/v1/namespaces/shop', 'clustermesh.cilium.io/global', 'false');
    await cartIs('');
    await until('no ip entries', async () => (await world.dump('cilium/state/ip/')).size === 0);
    await annotate('/api/v1/namespaces/shop', 'clustermesh.cilium.io/global', null);
    await cartIs('10.1.0.3');
    await until('ip entries', async () => (await world.dump('cilium/state/ip/')).size === 2);
    await world.request('DELETE', '/api/v1/namespaces/shop/pods/cart-a?gracePeriodSeconds=0');
    await until('one ip entry', async () => (await world.dump('cilium/state/ip/')).size === 1);
    await world.request('DELETE', '/api/v1/nodes/n1');
    await until('no node', async () => (await world.dump('cilium/state/nodes/')).size === 0);
    await world.request('DELETE', '/api/v1/namespaces/shop/services/cart');
    await cartIs('');
  });

  it('exports only annotated namespaces when that is the default', async () => {
    await populate(world);
    await world.namespace('bank', { 'clustermesh.cilium.io/global': 'true' });
    await world.service('bank', 'till', GLOBAL);
    await world.start('--default-global-namespace=false');
    await world.ready();
    const services = await world.dump('cilium/state/services/');
    assert.deepEqual([...services.keys()], ['cilium/state/services/v1/east/bank/till']);
    assert.equal((await world.dump('cilium/state/nodes/')).size, 1);
  });

  it('cuts a Service that is too large for etcd, says so, and goes on with the others', async () => {
    await populate(world);
    await world.service('shop', 'big', GLOBAL);
    const addresses = Array.from({ length: 30_000 }, (_, i) => `10.${50 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`);
    for (let i = 0; i < 30; i++) {
      await world.slice('shop', `big-${i}`, 'big', addresses.slice(i * 1000, (i + 1) * 1000));
    }
    await world.start();
    await world.ready();
    const key = 'cilium/state/services/v1/east/shop/big';
    const exported = backends((await world.dump(key)).get(key));
    assert(exported.length > 20_000 && exported.length < 30_000, `${exported.length}`);
    assert.deepEqual(exported, addresses.slice(0, exported.length).sort());
    const warning = world.logged.find(({ msg }) => msg.includes('too large'));
    assert(warning);
    const { service, backends: all, exported: number, limit } = warning.fields;
    assert.deepEqual([service, all, number, limit], ['shop/big', 30_000, exported.length, 1_568_768]);
    assert.match((await world.http('/metrics')).text, /^tombolo_clustermesh_apiserver_truncated_services 1$/m);
    assert.deepEqual(backends((await world.dump(CART)).get(CART)), ['10.1.0.1', '10.1.0.2']);
  });

  it('has metrics under the names that Cilium uses', async () => {
    await populate(world);
    await world.start();
    await world.ready();
    const { text } = await world.http('/metrics');
    const scope = 'scope="services/v1",source_cluster="east"';
    for (const line of [
      `kvstore_sync_queue_size{${scope}} 0`,
      `kvstore_initial_sync_completed{${scope},action="write"} 1`,
      `exported_entries{${scope}} 1`,
    ]) {
      assert(text.includes(`tombolo_clustermesh_apiserver_${line}\n`), `${line} in\n${text}`);
    }
    assert.match(text, /^tombolo_clustermesh_apiserver_bootstrap_seconds [\d.]+$/m);
  });
});
