/**
 * An agent that serves all Services on a node without kube-proxy: what it does besides forwarding, and what it leaves to a
 * kube-proxy that is there. The pod `server` is the backend; slices are written by hand.
 */
import assert from 'node:assert/strict';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import type { NodeHandle } from '@tombolo/lab/mesh/node.ts';
import type { PodHandle } from '@tombolo/lab/mesh/pod.ts';
import { agentSpec, HEALTH_PORTS } from '@tombolo/lab/mesh/programs.ts';
import type { CommandResult } from '@tombolo/machine/command.ts';
import { Program } from '@tombolo/machine/program.ts';
import { httpReady, programReady } from '@tombolo/machine/readiness.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { startRealMesh } from '../../mesh.ts';

type Json = Readonly<Record<string, unknown>>;

const SERVICES = '/api/v1/namespaces/default/services';
const SLICES = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
const SERVED = 'east/east-1/server';

describe('the agent in place of kube-proxy', () => {
  let mesh: Mesh;
  let east: ClusterHandle;
  let node: NodeHandle;
  let client: PodHandle;
  let backend: string;

  before(async () => {
    const clusters = [{ name: 'east', id: 1, nodes: 1 }];
    mesh = await startRealMesh({ name: 'tplace', clusters, without: 'apiservers and agents' });
    east = mesh.cluster('east');
    node = east.node(1);
    for (const [name, image] of [
      ['server', 'echo:1'],
      ['client', 'client:1'],
    ]) {
      const spec = { nodeName: node.name, containers: [{ name, image }] };
      await east.apply([{ apiVersion: 'v1', kind: 'Pod', metadata: { name: name ?? '' }, spec }]);
    }
    backend = (await east.pod('server')).address;
    client = await east.pod('client');
  });
  after(() => mesh?.close());

  async function startAgent(services: 'all' | 'global'): Promise<Program> {
    const agent = new Program(agentSpec(east.plan, node.plan, { datapath: 'nftables', services }));
    await agent.start();
    await programReady(agent, () => httpReady(node.plan.netns, `http://127.0.0.1:${HEALTH_PORTS.agent}/readyz`));
    return agent;
  }

  const CURL = ['curl', '-sS', '-g', '--max-time', '5'];
  const fromNode = (args: readonly string[]): Promise<CommandResult> => node.tryRun([...CURL, ...args]);
  const fromPod = (args: readonly string[]): Promise<CommandResult> => client.tryExec([...CURL, ...args]);
  const isServed = async (address: string): Promise<boolean> =>
    (await fromNode([`http://${address}/`])).stdout.trim() === SERVED;

  const PORTS = [{ name: 'http', port: 80 }];
  async function createService(name: string, spec: Json, annotations: Json = {}): Promise<void> {
    await east.api.request('POST', SERVICES, { metadata: { name, annotations }, spec: { ports: PORTS, ...spec } });
  }
  async function createSlice(service: string): Promise<void> {
    await east.api.request('POST', SLICES, {
      metadata: { name: `${service}-1`, labels: { 'kubernetes.io/service-name': service } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [backend], nodeName: node.name, conditions: { ready: true } }],
      ports: [{ name: 'http', port: 8080 }],
    });
  }
  async function patch(path: string, change: Json): Promise<void> {
    await east.api.request('PATCH', path, change, 'application/merge-patch+json');
  }

  /** The status at this port of the node, or curl's exit code. */
  const status = async (port: number, path = '/healthz', host = node.plan.address): Promise<string> => {
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}${path}`;
    const { code, stdout } = await fromPod(['-o', '/dev/null', '-w', '%{http_code}', url]);
    return code === 0 ? stdout : `curl ${code}`;
  };
  const statusIs = (expected: string, port: number): Promise<unknown> =>
    waitUntil(`port ${port} to be ${expected}`, async () => (await status(port)) === expected);
  const REFUSED = 'curl 7';

  describe('with all Services', () => {
    let agent: Program;
    before(async () => {
      agent = await startAgent('all');
    });
    after(async () => {
      await agent?.stop();
    });

    it('stops using a slice when it is labelled headless, and uses it again without the label', async () => {
      await createService('web', { clusterIP: '10.96.0.80' });
      await createSlice('web');
      const answers = () => isServed('10.96.0.80');
      const label = (value: string | null) =>
        patch(`${SLICES}/web-1`, { metadata: { labels: { 'service.kubernetes.io/headless': value } } });
      await waitUntil('an answer', answers);
      await label('');
      await waitUntil('a refusal', async () => (await fromNode(['http://10.96.0.80/'])).code === 7);
      await label(null);
      await waitUntil('an answer again', answers);
    });

    it('answers health checks of Services with external policy Local: from the pods, on both families', async () => {
      const local = { type: 'LoadBalancer', externalTrafficPolicy: 'Local' };
      await createService('lb', { ...local, clusterIP: '10.96.0.81', healthCheckNodePort: 31_000 });
      await statusIs('503', 31_000);
      await createSlice('lb');
      await statusIs('200', 31_000);
      const { stdout } = await fromPod(['-i', `http://${node.plan.address}:31000/healthz`]);
      assert.match(stdout, /^X-Load-Balancing-Endpoint-Weight: 1\r$/im);
      assert.match(stdout, /^X-Content-Type-Options: nosniff\r$/im);
      assert.deepEqual(JSON.parse(stdout.slice(stdout.indexOf('{'))), {
        service: { namespace: 'default', name: 'lb' },
        localEndpoints: 1,
        serviceProxyHealthy: true,
      });
      assert.equal(await status(31_000, '/', node.plan.address6), '503', 'no endpoint of that family');

      const conditions = { ready: false, serving: true, terminating: true };
      const endpoints = [{ addresses: [backend], nodeName: node.name, conditions }];
      await patch(`${SLICES}/lb-1`, { endpoints });
      await statusIs('503', 31_000);
      assert.ok(await isServed('10.96.0.81'), 'the last one goes on serving');

      await patch(`${SERVICES}/lb`, { spec: { externalTrafficPolicy: 'Cluster' } });
      await statusIs(REFUSED, 31_000);
      await patch(`${SERVICES}/lb`, { spec: { externalTrafficPolicy: 'Local', healthCheckNodePort: 31_002 } });
      await statusIs('503', 31_002);
      assert.equal(await status(31_000), REFUSED);
    });

    it('warns of a port that is taken, serves the others, and takes it once it is free', async () => {
      const script = `require('node:net').createServer().listen(31003, '0.0.0.0', () => console.log('up'))`;
      const { netns, cgroup, directory } = node.plan;
      const place = { netns, cgroup: `${cgroup}/system/taker`, logFile: `${directory}/taker.log` };
      const kubeProxy = new Program({ name: 'taker of a port', argv: [process.execPath, '-e', script], ...place });
      await kubeProxy.start();
      await waitUntil('the port to be taken', async () => (await kubeProxy.log()).includes('up'));
      const local = { type: 'LoadBalancer', externalTrafficPolicy: 'Local' };
      await createService('lb-a', { ...local, clusterIP: '10.96.0.82', healthCheckNodePort: 31_003 });
      await createService('lb-b', { ...local, clusterIP: '10.96.0.83', healthCheckNodePort: 31_004 });
      await statusIs('503', 31_004);
      await waitUntil('the warning', async () =>
        (await agent.log()).includes('Cannot serve the health check of default/lb-a on *:31003'),
      );
      await kubeProxy.stop();
      await statusIs('503', 31_003);
    });

    it('tells of node and proxy where kube-proxy does', async () => {
      assert.equal(await status(10_256), '200');
      assert.equal(await status(10_256, '/healthz', node.plan.address6), '200');
      assert.match((await fromPod([`http://${node.plan.address}:10256/healthz`])).stdout, /"lastUpdated":"2/);
      assert.equal((await fromNode(['http://127.0.0.1:10249/proxyMode'])).stdout, 'nftables');
      assert.equal(await status(10_249, '/proxyMode'), REFUSED);
      const taints = [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }];
      await patch(`/api/v1/nodes/${node.name}`, { spec: { taints } });
      await statusIs('503', 10_256);
      assert.equal(await status(10_256, '/livez'), '200');
    });
  });

  it('leaves all ports to kube-proxy when it serves global Services beside it', async () => {
    const local = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 31_005 };
    await createService('global', { ...local, clusterIP: '10.96.0.84' }, { 'service.cilium.io/global': 'true' });
    await createSlice('global');
    const agent = await startAgent('global');
    await waitUntil('the Service to be served', () => isServed('10.96.0.84'));
    for (const port of [31_005, 10_256]) assert.equal(await status(port), REFUSED);
    await agent.stop();
  });
});
