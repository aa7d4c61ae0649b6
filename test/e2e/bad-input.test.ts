/**
 * Bad input stays where it is: each kind gets a message that says what, where and what was expected, and the Service
 * that works goes on working. One cluster `east` looks at what `west` and its own operator do wrong.
 */
import assert from 'node:assert/strict';
import { rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import type { PodHandle } from '@tombolo/lab/mesh/pod.ts';
import { agentSpec } from '@tombolo/lab/mesh/programs.ts';
import { tryCommand } from '@tombolo/machine/command.ts';
import { kubeconfig } from '@tombolo/machine/kubernetes/kubeconfig.ts';
import type { Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { startRealMesh } from '../mesh.ts';
import { assertNoneFailed, clientPod, clusterOf, deployWeb, uses } from './web.ts';

const SERVICES = 'cilium/state/services/v1/west';
const BIG_BACKENDS = 20_000;

describe('bad input', () => {
  let mesh: Mesh;
  let east: ClusterHandle;
  let west: ClusterHandle;
  let client: PodHandle;
  let all: readonly string[];

  before(async () => {
    mesh = await startRealMesh({
      name: 'e2ebad',
      clusters: [
        { name: 'east', id: 1, nodes: 1 },
        { name: 'west', id: 2, nodes: 1 },
      ],
    });
    [east, west] = [mesh.cluster('east'), mesh.cluster('west')];
    all = (await Promise.all(mesh.clusters.map((cluster) => deployWeb(cluster)))).flat().map(({ address }) => address);
    await east.apply([clientPod('east-1')]);
    client = await east.pod('client');
  });

  after(() => mesh?.close());

  afterEach(async () => {
    await uses(east.node(1), all);
    const url = `http://${await east.serviceAddress('web')}/`;
    assertNoneFailed(await (await client.sendRequests(url, { count: 30 })).finished());
  });

  async function putInWest(key: string, value: string): Promise<void> {
    const { etcdEndpoint, controlPlane } = west.plan;
    const argv = ['etcdctl', '--endpoints', etcdEndpoint, 'put', key, '--', value];
    const { code, stderr } = await tryCommand(argv, { netns: controlPlane.netns, env: { ETCDCTL_API: '3' } });
    assert.equal(code, 0, stderr);
  }

  /** The reason for which east refuses an entry of west. */
  const quarantined = (key: string): Promise<string> =>
    waitUntil(
      `${key} to be quarantined`,
      async () => (await clusterOf(east.node(1), 'west'))?.quarantined.find((each) => each.key.includes(key))?.reason,
    );

  for (const [name, key, value, reason] of [
    ['is not JSON', 'shop/junk', '{', /shop\/junk/],
    ['is of another cluster', 'shop/foreign', service('shop', 'foreign', { cluster: 'north' }), /cluster/i],
    ['has another id', 'shop/stranger', service('shop', 'stranger', { clusterID: 9 }), /clusterID/i],
    ['has another key', 'shop/misplaced', service('shop', 'elsewhere'), /name|key/i],
    [
      'has a backend that is no address',
      'shop/backend',
      service('shop', 'backend', { backends: { nowhere: {} } }),
      /backends/,
    ],
  ] as const) {
    it(`quarantines an entry that ${name}`, async () => {
      await putInWest(`${SERVICES}/${key}`, value);
      assert.match(await quarantined(key), reason);
    });
  }

  it('keeps the last good value of an entry that turned to junk, also over a restart of the agent', async () => {
    const node = east.node(1);
    const key = `${SERVICES}/default/web`;
    await west.apiserver.kill(); // It would mend its entry.
    await putInWest(key, '{');
    assert.match(await quarantined('default/web'), /default\/web/);
    await uses(node, all);
    await node.agent.kill();
    await node.agent.start();
    await node.agentReady();
    assert.match(await quarantined('default/web'), /default\/web/);
    await uses(node, all);
    await west.apiserver.start();
    await west.apiserverReady();
    await waitUntil('the entry to be mended', async () =>
      (await clusterOf(node, 'west'))?.quarantined.every((each) => !each.key.includes('default/web')),
    );
  });

  it('takes a Service with 20,000 backends', async () => {
    await west.apply(bigService('big', ['http']));
    const argv = ['service', 'default/big', '-o', 'json'];
    await waitUntil('east to know them all', async () => {
      const { service } = JSON.parse(await east.node(1).tombolo(argv)) as { service: { backendCount: number } };
      return service.backendCount === BIG_BACKENDS;
    });
  });

  it('exports what fits of a Service that etcd would not take, and says so', async () => {
    await west.apply(bigService('bigger', ['http', 'metrics', 'admin']));
    const line = await waitUntil('west’s apiserver to complain', async () =>
      (await west.apiserver.log())
        .split('\n')
        .find((each) => each.includes('default/bigger') && each.includes('too large')),
    );
    assert.match(line, /"level":"(warn|error)"/);
  });

  it('reports a clustermesh file that is malformed, and takes it when it is mended or gone', async () => {
    const file = `${east.plan.clustermeshDirectory}/north`;
    await writeFile(file, 'endpoints: [\n');
    const status = await waitUntil('north to be reported', async () => {
      const north = await clusterOf(east.node(1), 'north');
      return north?.lastError ? north : undefined;
    });
    assert.match(status.lastError, /north|endpoints|YAML|yaml/);
    await rm(file);
    await waitUntil('north to be gone', async () => (await clusterOf(east.node(1), 'north')) === undefined);
  });

  it('reports a clustermesh directory that is missing, and forgets nothing', async () => {
    const { clustermeshDirectory: directory } = east.plan;
    const mesh = async () => {
      const { parts } = JSON.parse(await east.node(1).tombolo(['status', '-o', 'json'])) as {
        readonly parts: readonly { readonly name: string; readonly state: string; readonly reason: string }[];
      };
      return parts.find(({ name }) => name === 'mesh');
    };
    await rename(directory, `${directory}.away`);
    const part = await waitUntil('the mesh to be degraded', async () => {
      const found = await mesh();
      return found?.state === 'degraded' ? found : undefined;
    });
    assert.match(part.reason, new RegExp(directory));
    await uses(east.node(1), all);
    await rename(`${directory}.away`, directory);
    await waitUntil('the mesh to be well', async () => (await mesh())?.state === 'ok');
  });

  it('reports a cluster whose etcd cannot be reached', async () => {
    const file = `${east.plan.clustermeshDirectory}/south`;
    await writeFile(file, 'endpoints:\n- http://10.0.1.250:1\n');
    const status = await waitUntil('south to be reported', async () => {
      const south = await clusterOf(east.node(1), 'south');
      return south?.lastError ? south : undefined;
    });
    assert.match(status.lastError, /10\.0\.1\.250:1/);
    assert.notEqual(status.control, 'heard');
    await rm(file);
    await waitUntil('south to be gone', async () => (await clusterOf(east.node(1), 'south')) === undefined);
  });

  it('goes on without an API while its port is busy, and serves when it is free', async () => {
    const node = east.node(1);
    const blocker = createServer();
    await node.agent.stop();
    await new Promise<void>((resolve) => blocker.listen(node.plan.agentSocket, resolve));
    await node.agent.start();
    await waitUntil('the agent to complain', async () => /Cannot listen/.test(await node.agent.log()));
    assert.match(await node.agent.log(), new RegExp(node.plan.agentSocket));
    await new Promise((resolve) => blocker.close(resolve));
    await node.agentReady();
  });

  it('refuses a second agent on a node, whatever its datapath, and leaves the first its own', async () => {
    const node = east.node(1);
    for (const datapath of ['auto', 'nftables'] as const) {
      const more = () => ['--api', `unix://${node.plan.directory}/second.sock`, '--health-port', '9999'];
      const { argv } = agentSpec(east.plan, node.plan, { datapath, more });
      const { code, stderr } = await tryCommand(argv, { netns: node.plan.netns, timeoutMs: 20_000 });
      assert.equal(code, 1, stderr);
      assert.match(stderr, /another node-agent runs/);
      assert.doesNotMatch(stderr, /Datapath opened/);
    }
  });

  it('says in one sentence that it needs root', async () => {
    const readable = `${mesh.plan.directory}/readable.kubeconfig`;
    await writeFile(readable, kubeconfig([{ cluster: 'east', server: east.plan.server }]));
    const { argv } = agentSpec(east.plan, east.node(1).plan, { more: () => ['--kubeconfig', readable] });
    const nobody = ['unshare', '--net', 'setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...argv];
    const { code, stderr } = await tryCommand(nobody, { timeoutMs: 60_000 });
    assert.equal(code, 1);
    assert.match(stderr, /root/);
  });

  it('falls back to nftables, and says why, where cgroup BPF cannot be had', async () => {
    const node = east.node(1);
    await node.agent.stop();
    const { argv } = agentSpec(east.plan, node.plan, { more: () => ['--cgroup-root', '/proc'] });
    const seen = await tryCommand(argv, { netns: node.plan.netns, timeoutMs: 10_000 });
    assert.match(seen.stderr, /nftables/);
    assert.match(seen.stderr, /cgroup/);
    await node.agent.start();
    await node.agentReady();
  });
});

function service(namespace: string, name: string, fields: object = {}): string {
  const frontends = {};
  const backends = { '10.2.1.99': { http: { Protocol: 'TCP', Port: 80 } } };
  const common = { labels: {}, selector: {}, includeExternal: true, shared: true, clusterID: 2 };
  return JSON.stringify({ cluster: 'west', namespace, name, frontends, backends, ...common, ...fields });
}

/** 20,000 endpoints in slices of 1,000, and the same Service in east's eyes: selector-less. */
function bigService(name: string, portNames: readonly string[]): readonly Manifest[] {
  const metadata = { name, namespace: 'default', annotations: { 'service.cilium.io/global': 'true' } };
  const ports = portNames.map((portName, index) => ({ name: portName, port: 80 + index, protocol: 'TCP' }));
  const slices = Array.from(
    { length: BIG_BACKENDS / 1000 },
    (_, slice): Manifest => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-${slice}`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports,
      endpoints: Array.from({ length: 1000 }, (_, index) => ({
        addresses: [
          `10.${100 + Math.floor(slice / 10)}.${(slice % 10) * 4 + Math.floor(index / 250)}.${(index % 250) + 1}`,
        ],
        conditions: { ready: true },
      })),
    }),
  );
  return [{ apiVersion: 'v1', kind: 'Service', metadata, spec: { ports } }, ...slices];
}
