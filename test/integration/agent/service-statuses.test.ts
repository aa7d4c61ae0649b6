/**
 * MetalLB's status resources, of the real kinds on a real API server: what an agent writes of what it announces, beside what
 * others write, and what becomes of it when its node goes.
 */
import assert from 'node:assert/strict';
import type { KubernetesObject } from '@tombolo/machine/kubernetes/objects.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { AnnounceFacts } from '@tombolo/node-agent/announce/announce-facts.ts';
import { ServiceStatuses } from '@tombolo/node-agent/announce/service-statuses.ts';
import type { Told } from '@tombolo/node-agent/announce/status-plan.ts';
import { connectKubernetes } from '@tombolo/shared/kubernetes/client.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { type Health, HealthTree } from '@tombolo/shared/process/health.ts';
import { TestCluster } from '../../cluster.ts';
import { installStatusKinds } from '../../pools.ts';
import { recordingLogger } from '../../recording-logger.ts';
import { FAST } from './fast-clock.ts';

const NAMESPACE = 'metallb-system';
const PATH = `/apis/metallb.io/v1beta1/namespaces/${NAMESPACE}`;
const CART = serviceKey('shop', 'cart');
/** As MetalLB's speaker has them. */
const LABELS = {
  'metallb.io/node': 'n1',
  'metallb.io/service-name': 'cart',
  'metallb.io/service-namespace': 'shop',
};
const STATUS = { node: 'n1', serviceName: 'cart', serviceNamespace: 'shop' };

interface Status extends KubernetesObject {
  readonly status?: object;
}

describe('the status resources of MetalLB', () => {
  let cluster: TestCluster;
  let stop: AbortController;
  let running: Promise<unknown>[];
  let heard: Set<string>;

  before(async () => {
    cluster = await TestCluster.start('tstatuses');
    await installStatusKinds(cluster.api);
    await cluster.namespace(NAMESPACE);
  });
  after(() => cluster?.close());

  beforeEach(async () => {
    stop = new AbortController();
    running = [];
    heard = new Set();
    for (const name of ['n1', 'n2']) await node(name, 'True');
  });
  afterEach(async () => {
    await ended();
    for (const plural of ['servicel2statuses', 'servicebgpstatuses'])
      await cluster.api.request('DELETE', `${PATH}/${plural}`);
    await cluster.empty();
  });

  async function node(name: string, ready: string): Promise<void> {
    const status = { conditions: [{ type: 'Ready', status: ready }] };
    await cluster.api.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
    await cluster.api.request('PATCH', `/api/v1/nodes/${name}/status`, { status }, 'application/merge-patch+json');
  }

  /** One agent's part, until the test ends. */
  function start(nodeName: string, told: { readonly l2?: () => Told | undefined; readonly bgp?: () => Told }) {
    const client = connectKubernetes({ kubeconfig: cluster.kubeconfig });
    const log = recordingLogger([]);
    const table = {
      snapshot: () => ({ revision: 0, services: new Map() }),
      changesSince: () => 'compacted' as const,
      onChange: () => () => {},
    };
    const facts = new AnnounceFacts({
      ...{ client, table, applied: () => 0, nodeName, scope: 'all', metallbNamespace: NAMESPACE },
      ...{ health: new HealthTree(), log },
    });
    const reports: Health[] = [];
    const statuses = new ServiceStatuses({
      ...{ client, facts, nodeName, metallbNamespace: NAMESPACE, clock: FAST, log },
      told: { l2: told.l2 ?? (() => new Map()), bgp: told.bgp ?? (() => new Map()) },
      isHeard: (name) => heard.has(name),
      report: (health) => reports.push(health),
    });
    running.push(facts.run(stop.signal), statuses.run(stop.signal));
    return reports;
  }

  async function ended(): Promise<void> {
    stop.abort();
    await Promise.all(running);
  }

  const list = async (plural: string): Promise<readonly Status[]> =>
    (await cluster.api.get<{ readonly items: readonly Status[] }>(`${PATH}/${plural}`)).items;
  const until = (
    what: string,
    plural: string,
    holds: (items: readonly Status[]) => boolean,
    ms = 30_000,
  ): Promise<unknown> => waitUntil(what, async () => holds(await list(plural)), { timeoutMs: ms });
  const saysOf = (items: readonly Status[]) => items.map(({ status }) => status);

  it('say what is announced, as MetalLB’s own do, and follow it', async () => {
    let l2: Told = new Map([[CART, {}]]);
    let bgp: Told = new Map([[CART, { peers: ['tor'] }]]);
    start('n1', { l2: () => l2, bgp: () => bgp });
    await until('both', 'servicebgpstatuses', ([one]) => JSON.stringify(one?.status)?.includes('peers') ?? false);
    await until('both', 'servicel2statuses', ([one]) => one?.status !== undefined);
    const [answered] = await list('servicel2statuses');
    assert.deepEqual(answered?.status, STATUS);
    assert.deepEqual(answered?.metadata.labels, { ...LABELS, 'app.kubernetes.io/managed-by': 'tombolo' });
    assert.deepEqual(saysOf(await list('servicebgpstatuses')), [{ ...STATUS, peers: ['tor'] }]);
    l2 = new Map([[CART, { interfaces: [{ name: 'eth1' }] }]]);
    bgp = new Map();
    await until('another interface', 'servicel2statuses', ([one]) => JSON.stringify(one?.status).includes('eth1'));
    await until('nothing by BGP', 'servicebgpstatuses', (items) => items.length === 0);
  });

  it('are kept by the next agent, but where nobody answers for addresses any more', async () => {
    const told = { l2: () => new Map([[CART, {}]]), bgp: () => new Map([[CART, { peers: ['tor'] }]]) };
    start('n1', told);
    for (const plural of ['servicel2statuses', 'servicebgpstatuses'])
      await until('it', plural, ([one]) => one?.status !== undefined);
    const uid = async () => (await list('servicebgpstatuses'))[0]?.metadata.uid;
    const before = await uid();
    await ended();
    assert.deepEqual(await list('servicel2statuses'), []);
    assert.equal(await uid(), before);
    [stop, running] = [new AbortController(), []];
    start('n1', told);
    await until('it again', 'servicel2statuses', ([one]) => one?.status !== undefined);
    assert.equal(await uid(), before);
  });

  it('are left alone before it is known what is announced', async () => {
    await cluster.api.request('POST', `${PATH}/servicel2statuses`, {
      ...{ apiVersion: 'metallb.io/v1beta1', kind: 'ServiceL2Status' },
      metadata: { name: 'of-the-last-agent', labels: { ...LABELS, 'app.kubernetes.io/managed-by': 'tombolo' } },
    });
    let l2: Told | undefined;
    let bgp: Told = new Map([[CART, { peers: ['tor'] }]]);
    start('n1', { l2: () => l2, bgp: () => bgp });
    await until('one by BGP', 'servicebgpstatuses', (items) => items.length === 1);
    bgp = new Map();
    // What goes for the same reason has gone.
    await until('none by BGP', 'servicebgpstatuses', (items) => items.length === 0);
    assert.equal((await list('servicel2statuses')).length, 1);
    l2 = new Map();
    await until('it to go', 'servicel2statuses', (items) => items.length === 0);
  });

  it('of MetalLB stay as they are, and ours make way for them', async () => {
    const theirs = {
      ...{ apiVersion: 'metallb.io/v1beta1', kind: 'ServiceBGPStatus' },
      metadata: { generateName: 'bgp-', labels: LABELS },
    };
    start('n1', { bgp: () => new Map([[CART, { peers: ['tor'] }]]) });
    await until('ours', 'servicebgpstatuses', ([one]) => one?.status !== undefined);
    await cluster.api.request('POST', `${PATH}/servicebgpstatuses`, theirs);
    await until('theirs alone', 'servicebgpstatuses', (items) => items.length === 1);
    const [left] = await list('servicebgpstatuses');
    assert.equal(left?.metadata.labels?.['app.kubernetes.io/managed-by'], undefined);
    assert.equal(left?.status, undefined);
    await cluster.api.request('DELETE', `${PATH}/servicebgpstatuses/${left?.metadata.name}`);
    await until('ours again', 'servicebgpstatuses', ([one]) => one?.status !== undefined);
  });

  it('go with the Node, or, where Kubernetes hears nothing of it, nor another agent, by the first of the others', async () => {
    const bgp = () => new Map([[CART, { peers: ['tor'] }]]);
    start('n2', { bgp });
    await until('that of n2', 'servicebgpstatuses', (items) => items.length === 1);
    await cluster.api.request('DELETE', '/api/v1/nodes/n2');
    // By Kubernetes itself, which looks for new kinds every half minute.
    await until('none', 'servicebgpstatuses', (items) => items.length === 0, 90_000);
    await ended();
    [stop, running] = [new AbortController(), []];
    await node('n2', 'True');
    const killed = start('n2', { bgp });
    await until('that of n2', 'servicebgpstatuses', (items) => items.length === 1);
    await ended();
    assert.deepEqual(killed, []);
    [stop, running] = [new AbortController(), []];
    heard.add('n2');
    await node('n2', 'Unknown');
    start('n1', { bgp });
    await until('that of n1', 'servicebgpstatuses', (items) => items.length === 2);
    // A sweep of the time, and more.
    await new Promise((resolve) => FAST.after(90_000, () => resolve(undefined)));
    assert.equal((await list('servicebgpstatuses')).length, 2);
    heard.clear();
    await until('that of n1 alone', 'servicebgpstatuses', (items) => items.length === 1);
    assert.deepEqual(saysOf(await list('servicebgpstatuses')), [{ ...STATUS, peers: ['tor'] }]);
  });
});
