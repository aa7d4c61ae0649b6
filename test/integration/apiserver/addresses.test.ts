/** Addresses for Services of type LoadBalancer, on a real API server: from pools of both kinds into the Services' status. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import type { KubernetesObject } from '@tombolo/machine/kubernetes/objects.ts';
import { TestCluster } from '../../cluster.ts';
import { deletePools, installPoolKinds, METALLB_NAMESPACE, putCiliumPool, putMetallbPool } from '../../pools.ts';
import { until } from '../etcd/etcd-server.ts';
import { type Replica, startReplica } from './replica.ts';

interface Service extends KubernetesObject {
  readonly spec: { readonly type: string };
  readonly status: {
    readonly loadBalancer: { readonly ingress?: readonly { readonly ip: string; readonly ipMode?: string }[] };
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
    }[];
  };
}

const NAMESPACE = 'shop';
const SERVICES = `/api/v1/namespaces/${NAMESPACE}/services`;
const TOMBOLO = join(REPOSITORY, 'scripts/tombolo');
const MERGE = 'application/merge-patch+json';

describe('addresses from pools', () => {
  let cluster: TestCluster;
  const replicas = new Set<Replica>();

  before(async () => {
    cluster = await TestCluster.start('taddresses');
    await installPoolKinds(cluster.api);
    await cluster.namespace(NAMESPACE);
  });
  after(() => cluster?.close());

  afterEach(async () => {
    await Promise.all([...replicas].map((replica) => replica.stop()));
    await cluster.empty();
    await deletePools(cluster.api);
  });

  function start(instance: string): Replica {
    const { stop, ...running } = startReplica(cluster.kubeconfig, instance);
    const replica: Replica = {
      ...running,
      stop: () => {
        replicas.delete(replica);
        return stop();
      },
    };
    replicas.add(replica);
    return replica;
  }

  async function service(name: string, spec: object = {}, metadata: object = {}): Promise<void> {
    await cluster.api.apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: NAMESPACE, ...metadata },
      spec: { type: 'LoadBalancer', ports: [{ port: 80 }], ...spec },
    });
  }

  const get = (name: string): Promise<Service> => cluster.api.get<Service>(`${SERVICES}/${name}`);
  const ipsOf = ({ status }: Service): readonly string[] => (status.loadBalancer.ingress ?? []).map(({ ip }) => ip);
  const conditionOf = ({ status }: Service) =>
    status.conditions?.find(({ type }) => type === 'tombolo.io/IPAMRequestSatisfied');
  const has = async (name: string, ...ips: readonly string[]): Promise<Service> => {
    await until(`${name} to have ${ips}`, async () => `${ipsOf(await get(name))}` === `${ips}`);
    return get(name);
  };
  const allIps = async (): Promise<ReadonlyMap<string, readonly string[]>> => {
    const { items } = await cluster.api.get<{ readonly items: readonly Service[] }>(SERVICES);
    return new Map(items.map((each) => [each.metadata.name, ipsOf(each)]));
  };

  it('come into the status of Services as soon as there is a pool, and go back when they are no load balancers', async () => {
    start('one');
    await service('a');
    await putCiliumPool(cluster.api, 'blue', { blocks: [{ start: '192.0.2.1', stop: '192.0.2.2' }] });
    const { status } = await has('a', '192.0.2.1');
    assert.equal(status.loadBalancer.ingress?.[0]?.ipMode, 'VIP');
    assert.equal(conditionOf(await get('a'))?.status, 'True');
    await service('b');
    await service('c');
    await has('b', '192.0.2.2');
    await until('c to be told', async () => conditionOf(await get('c'))?.reason === 'out_of_ips');
    const events = async (): Promise<readonly string[]> => {
      const path = `/api/v1/namespaces/${NAMESPACE}/events?fieldSelector=involvedObject.name=c`;
      const { items } = await cluster.api.get<{ readonly items: readonly { reason: string; message: string }[] }>(path);
      return items.map(({ reason, message }) => `${reason}: ${message}`);
    };
    await until('c to have an Event', async () => (await events()).length > 0);
    assert.deepEqual(await events(), ['AddressesMissing: no IPv4 address is left in pool cilium/blue (out_of_ips)']);
    assert.match(conditionOf(await get('c'))?.message ?? '', /no IPv4 address is left in pool cilium\/blue/);
    await cluster.api.request('PATCH', `${SERVICES}/a`, { spec: { type: 'ClusterIP' } }, MERGE);
    await has('c', '192.0.2.1');
    const { status: bare } = await has('a');
    assert.deepEqual(bare.conditions ?? [], []);
    await cluster.api.request('DELETE', `${SERVICES}/b`);
    await service('d');
    await has('d', '192.0.2.2');
  });

  it('are those of MetalLB, too, by its annotations and namespaces', async () => {
    start('one');
    await putMetallbPool(cluster.api, 'any', { addresses: ['192.0.2.0/28'] });
    await putMetallbPool(cluster.api, 'ours', {
      addresses: ['198.51.100.7-198.51.100.9'],
      serviceAllocation: { priority: 10, namespaces: [NAMESPACE] },
    });
    await putMetallbPool(cluster.api, 'asked', { addresses: ['203.0.113.1/32'], autoAssign: false });
    // Whoever may make pools in a namespace of his own gives nothing away.
    const spec = { addresses: ['203.0.113.9/32'], serviceAllocation: { priority: 1 } };
    await putMetallbPool(cluster.api, 'any', spec, 'default');
    await service('a');
    await service('b', {}, { annotations: { 'metallb.io/address-pool': 'asked' } });
    await service('c', {}, { annotations: { 'metallb.io/loadBalancerIPs': '198.51.100.9' } });
    await has('a', '198.51.100.7');
    await has('b', '203.0.113.1');
    await has('c', '198.51.100.9');
  });

  it('stay as they are when a pool is edited, deleted and made anew, and whoever gives them is started again', async () => {
    const first = start('one');
    await putCiliumPool(cluster.api, 'blue', { blocks: [{ cidr: '192.0.2.0/28' }] });
    await service('a');
    await has('a', '192.0.2.0');
    await putCiliumPool(cluster.api, 'blue', { blocks: [{ cidr: '198.51.100.0/28' }] });
    await until('a to be told', async () => conditionOf(await get('a'))?.reason === 'stranded');
    assert.deepEqual(ipsOf(await get('a')), ['192.0.2.0']);
    await first.stop();
    await putCiliumPool(cluster.api, 'blue', { blocks: [{ cidr: '192.0.2.0/28' }] });
    start('two');
    await until('a to be told', async () => conditionOf(await get('a'))?.status === 'True');
    await service('b');
    await has('b', '192.0.2.1');
    assert.deepEqual(ipsOf(await get('a')), ['192.0.2.0']);
  });

  it('are not for more Services than the quota of the namespace allows', async () => {
    const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'few', namespace: NAMESPACE } };
    await cluster.api.create({ ...quota, spec: { hard: { 'services.loadbalancers': '1' } } });
    await cluster.api.waitFor<KubernetesObject & { readonly status?: { readonly hard?: object } }>(
      quota,
      (found) => found?.status?.hard !== undefined,
    );
    start('one');
    await putCiliumPool(cluster.api, 'blue', { blocks: [{ cidr: '192.0.2.0/28' }] });
    await service('a');
    await has('a', '192.0.2.0');
    await assert.rejects(service('b'), /exceeded quota: few.*services\.loadbalancers/);
    await cluster.api.remove(quota);
  });

  it('are none of those that nodes, pods or cluster IPs have', async () => {
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-a' } };
    await cluster.api.create({ ...node, spec: { podCIDR: '192.0.2.2/31', podCIDRs: ['192.0.2.2/31'] } });
    await cluster.api.patch(node, { status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] } }, 'status');
    start('one');
    await putMetallbPool(cluster.api, 'careless', { addresses: ['10.96.0.0/16', '192.0.2.1-192.0.2.4'] });
    await service('a');
    await has('a', '192.0.2.4');
    for (const [name, address, message] of [
      ['node', '192.0.2.1', '192.0.2.1 is an address of node node-a'],
      ['cluster-ip', '10.96.7.7', '10.96.7.7 is a cluster IP (ServiceCIDR kubernetes)'],
    ] as const) {
      await service(name, {}, { annotations: { 'metallb.io/loadBalancerIPs': address } });
      await until(`${name} to be told`, async () => conditionOf(await get(name))?.reason === 'reserved');
      assert.equal(conditionOf(await get(name))?.message, message);
    }
    await cluster.api.request('DELETE', '/api/v1/nodes/node-a');
    await has('node', '192.0.2.1');
  });

  it('are given by one of two replicas, and by the other when that ends', async () => {
    const [one, two] = [start('one'), start('two')];
    await putCiliumPool(cluster.api, 'blue', { blocks: [{ cidr: '192.0.2.0/28' }] });
    await service('a');
    await has('a', '192.0.2.0');
    const leads = ({ logged }: Replica) => logged.some(({ msg }) => msg.includes('gives out addresses from now on'));
    const [leader, other] = leads(one) ? [one, two] : [two, one];
    assert(leads(leader) && !leads(other));
    await leader.stop();
    await service('b');
    await has('b', '192.0.2.1');
    assert.deepEqual(ipsOf(await get('a')), ['192.0.2.0']);
  });

  it('are left to another controller that gave them, and taken over where they are of a pool', async () => {
    const status = (ip: string) => ({ status: { loadBalancer: { ingress: [{ ip }] } } });
    for (const [name, ip] of [
      ['cloud', '203.0.113.77'],
      ['pooled', '192.0.2.5'],
    ] as const) {
      await service(name);
      await cluster.api.request('PATCH', `${SERVICES}/${name}/status`, status(ip), MERGE);
    }
    await service('classy', { loadBalancerClass: 'example.com/theirs' });
    const revisions = async () =>
      Promise.all(['cloud', 'pooled', 'classy'].map(async (name) => (await get(name)).metadata.resourceVersion));
    const before = await revisions();
    start('one');
    await putMetallbPool(cluster.api, 'any', { addresses: ['192.0.2.4-192.0.2.6'] });
    for (const name of ['a', 'b', 'c']) await service(name);
    await has('a', '192.0.2.4');
    await has('b', '192.0.2.6');
    await until('c to be told', async () => conditionOf(await get('c'))?.reason === 'out_of_ips');
    assert.deepEqual(await revisions(), before);
  });

  it('are explained by tombolo, without an agent, from what Kubernetes says', async () => {
    const tombolo = async (...words: readonly string[]): Promise<string> => {
      const where = [`--kubeconfig=${cluster.kubeconfig}`, `--metallb-namespace=${METALLB_NAMESPACE}`];
      const { stdout } = await promisify(execFile)(TOMBOLO, ['--address=unix:///nowhere', 'lb', ...words, ...where]);
      return stdout;
    };
    start('one');
    await putCiliumPool(cluster.api, 'blue', { blocks: [{ start: '192.0.2.1' }] });
    await putMetallbPool(cluster.api, 'asked', { addresses: ['198.51.100.0/31', 'x'], autoAssign: false });
    await service('a');
    await has('a', '192.0.2.1');
    await service('b');
    await until('b to be told', async () => conditionOf(await get('b'))?.reason === 'out_of_ips');
    await service('c', {}, { annotations: { 'metallb.io/loadBalancerIPs': '198.51.100.1' } });
    await has('c', '198.51.100.1');
    const pools = async () =>
      JSON.parse(await tombolo('pools', '-o', 'json')).pools as readonly { readonly total?: string }[];
    await until('statuses', async () => (await pools()).every(({ total }) => total !== undefined));
    assert.deepEqual(await pools(), [
      {
        ...{ name: 'blue', kind: 'CiliumLoadBalancerIPPool', ranges: ['192.0.2.1'], used: 1, total: '1' },
        ...{ services: ['shop/a'], problems: [] },
      },
      {
        ...{ name: 'asked', kind: 'IPAddressPool', ranges: ['198.51.100.0-198.51.100.1'], used: 1, total: '2' },
        services: ['shop/c'],
        problems: [
          'spec.addresses[1] left out: expected a prefix such as 10.1.0.0/16: current value is "x"; ranges are written as 192.0.2.1-192.0.2.9',
        ],
      },
    ]);
    assert.match(
      await tombolo('explain', 'shop/a'),
      /^shop\/a\n {2}192\.0\.2\.1 {3}of pool cilium\/blue: the Service asks for any\n/,
    );
    assert.match(
      await tombolo('explain', 'b', '-n', 'shop'),
      /no address\n {2}no IPv4 address is left in pool cilium\/blue \(out_of_ips\)\n/,
    );
    assert.match(
      await tombolo('explain', 'shop/c'),
      /of pool metallb\/asked: the Service asks for this address\n {2}who announces it is not known: /,
    );
    await assert.rejects(tombolo('explain', 'shop/d'), { code: 4 });
    await assert.rejects(tombolo('pools', '--context=none'), { code: 1 });
  });

  it('are given to each of 500 Services once, while the API server is killed and others write to the same Services', async () => {
    start('one');
    await putCiliumPool(cluster.api, 'wide', { blocks: [{ cidr: '10.200.0.0/16' }] });
    const names = Array.from({ length: 500 }, (_, i) => `s${i}`);
    for (let at = 0; at < names.length; at += 20) {
      await Promise.all(names.slice(at, at + 20).map((name) => service(name)));
      const touched = { metadata: { labels: { touched: 'yes' } } };
      await Promise.all(
        names.slice(at, at + 20).map((name) => cluster.api.request('PATCH', `${SERVICES}/${name}`, touched, MERGE)),
      );
      if (at === 240) {
        await cluster.killApi();
        await cluster.startApi();
      }
    }
    await until('all to have one', async () => [...(await allIps()).values()].every((ips) => ips.length === 1), 60_000);
    const given = [...(await allIps()).values()].flat();
    assert.equal(new Set(given).size, names.length);
  });
});
