/**
 * An agent that serves all Services, in namespaces of its own: `node` with the agent, the Kubernetes API and a way to
 * `pod`, whose two servers are the backends. What is not translated ends in the pod's namespace, which knows no way on.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandResult, tryCommand } from '@tombolo/machine/command.ts';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import { createNetns, ip, removeNetns } from '@tombolo/machine/netns.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';

type Json = Readonly<Record<string, unknown>>;

const NODE = `tbl-place-${process.pid}-node`;
const POD = `tbl-place-${process.pid}-pod`;
const API = 'http://127.0.0.1:6443';
const SERVICES = '/api/v1/namespaces/default/services';
const SLICES = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
const KUBECONFIG = `
apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: "${API}" } }]
contexts: [{ name: c, context: { cluster: c, user: u } }]
users: [{ name: u, user: {} }]
current-context: c
`;
const SERVER = `
  for (const host of ['10.1.0.2', 'fd01::2'])
    require('node:http').createServer((_, answer) => answer.end('served')).listen(8080, host, () => console.log('up'));`;

describe('the agent in place of kube-proxy', () => {
  let directory: string;
  const children: ChildProcess[] = [];
  let agentLog = '';

  /** `ready` is what its output says when it can be used. */
  async function start(netns: string, argv: readonly string[], ready: string): Promise<ChildProcess> {
    const child = spawn('ip', ['netns', 'exec', netns, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    let said = '';
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (part) => {
        said += String(part);
        if (argv.includes('--cluster-name')) agentLog += String(part);
        if (said.includes(ready)) resolve();
      });
    }
    child.once('exit', () => reject(new Error(`Cannot start ${argv.join(' ')}: it ended: ${said}`)));
    await promise;
    return child;
  }

  async function stop(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }

  async function startAgent(scope: 'all' | 'global'): Promise<ChildProcess> {
    const flags = ['--cluster-name', 'east', '--cluster-id', '1', '--node-name', 'n', '--datapath', 'nftables'];
    const places = ['--kubeconfig', join(directory, 'kubeconfig'), '--bpf-dir', join(directory, 'bpf')];
    const api = ['--api', `unix://${directory}/agent.sock`, '--services', scope];
    const main = join(REPOSITORY, 'packages/node-agent/src/main.ts');
    const agent = await start(NODE, [process.execPath, main, ...flags, ...places, ...api], 'Agent started');
    const isReady = async () => (await curl(NODE, ['http://127.0.0.1:9879/readyz'])).stdout.startsWith('Ready');
    await waitUntil('the agent to be ready', isReady);
    return agent;
  }

  const curl = (netns: string, args: readonly string[]): Promise<CommandResult> =>
    tryCommand(['curl', '-sS', '-g', '--max-time', '5', ...args], { netns });

  async function request(method: string, path: string, body: Json): Promise<void> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const data = ['-H', `content-type: ${type}`, '-d', JSON.stringify(body)];
    const { code, stdout, stderr } = await curl(NODE, ['-f', '-X', method, ...data, `${API}${path}`]);
    assert.equal(code, 0, `${method} ${path}: ${stderr} ${stdout}`);
  }

  const PORTS = [{ name: 'http', port: 80 }];
  const createService = (name: string, spec: Json): Promise<void> =>
    request('POST', SERVICES, { metadata: { name }, spec: { ports: PORTS, ...spec } });
  const createSlice = (service: string, address: string): Promise<void> =>
    request('POST', SLICES, {
      metadata: { name: `${service}-1`, labels: { 'kubernetes.io/service-name': service } },
      addressType: address.includes(':') ? 'IPv6' : 'IPv4',
      endpoints: [{ addresses: [address], nodeName: 'n', conditions: { ready: true } }],
      ports: [{ name: 'http', port: 8080 }],
    });

  /** The status at this port of the node, or curl's exit code. */
  const status = async (port: number, path = '/healthz', host = '10.1.0.1'): Promise<string> => {
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}${path}`;
    const { code, stdout } = await curl(POD, ['-o', '/dev/null', '-w', '%{http_code}', url]);
    return code === 0 ? stdout : `curl ${code}`;
  };
  const statusIs = (expected: string, port: number, host?: string): Promise<unknown> =>
    waitUntil(`port ${port} to be ${expected}`, async () => (await status(port, '/healthz', host)) === expected);
  const REFUSED = 'curl 7';

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tbl-place-'));
    writeFileSync(join(directory, 'kubeconfig'), KUBECONFIG);
    await createNetns([NODE, POD]);
    await ip(NODE, [
      'link set lo up',
      `link add pod type veth peer name eth0 netns ${POD}`,
      'link set pod up',
      'address add 10.1.0.1/24 dev pod',
      'address add fd01::1/64 dev pod nodad',
      'route add 10.96.0.0/16 via 10.1.0.2',
    ]);
    await ip(POD, [
      'link set lo up',
      'link set eth0 up',
      'address add 10.1.0.2/24 dev eth0',
      'address add fd01::2/64 dev eth0 nodad',
    ]);
    await start(POD, [process.execPath, '-e', SERVER], 'up\nup');
    const api = join(REPOSITORY, 'packages/small-kubernetes/src/api/main.ts');
    await start(NODE, [process.execPath, api, '--port', '6443', '--service-cidr', '10.96.0.0/16'], 'http://');
    await request('POST', '/api/v1/nodes', { metadata: { name: 'n' }, spec: { podCIDR: '10.1.0.0/24' } });
  });
  after(async () => {
    await Promise.all(children.map(stop));
    await removeNetns([NODE, POD]);
    rmSync(directory, { recursive: true, force: true });
  });

  describe('with all Services', () => {
    let agent: ChildProcess;
    before(async () => {
      agent = await startAgent('all');
    });
    after(() => stop(agent));

    it('stops using a slice when it is labelled headless, and uses it again without the label', async () => {
      await createService('web', { clusterIP: '10.96.0.80' });
      await createSlice('web', '10.1.0.2');
      const answers = async () => (await curl(NODE, ['http://10.96.0.80/'])).stdout === 'served';
      const label = (value: string | null) =>
        request('PATCH', `${SLICES}/web-1`, { metadata: { labels: { 'service.kubernetes.io/headless': value } } });
      await waitUntil('an answer', answers);
      await label('');
      await waitUntil('a refusal', async () => (await curl(NODE, ['http://10.96.0.80/'])).code === 7);
      await label(null);
      await waitUntil('an answer again', answers);
    });

    it('answers health checks of Services with external policy Local: from the pods, on both families', async () => {
      const local = { type: 'LoadBalancer', externalTrafficPolicy: 'Local' };
      await createService('lb', { ...local, clusterIP: '10.96.0.81', healthCheckNodePort: 31_000 });
      await statusIs('503', 31_000);
      await createSlice('lb', '10.1.0.2');
      await statusIs('200', 31_000);
      const { stdout } = await curl(POD, ['-i', 'http://10.1.0.1:31000/healthz']);
      assert.match(stdout, /^X-Load-Balancing-Endpoint-Weight: 1\r$/im);
      assert.match(stdout, /^X-Content-Type-Options: nosniff\r$/im);
      assert.deepEqual(JSON.parse(stdout.slice(stdout.indexOf('{'))), {
        service: { namespace: 'default', name: 'lb' },
        localEndpoints: 1,
        serviceProxyHealthy: true,
      });
      assert.equal(await status(31_000, '/', 'fd01::1'), '503', 'no endpoint of that family');

      const conditions = { ready: false, serving: true, terminating: true };
      const endpoints = [{ addresses: ['10.1.0.2'], nodeName: 'n', conditions }];
      await request('PATCH', `${SLICES}/lb-1`, { endpoints });
      await statusIs('503', 31_000);
      assert.equal((await curl(NODE, ['http://10.96.0.81/'])).stdout, 'served', 'the last one goes on serving');

      await request('PATCH', `${SERVICES}/lb`, { spec: { healthCheckNodePort: 31_002 } });
      await statusIs('503', 31_002);
      await statusIs(REFUSED, 31_000);
      await request('PATCH', `${SERVICES}/lb`, { spec: { externalTrafficPolicy: 'Cluster' } });
      await statusIs(REFUSED, 31_002);
    });

    it('warns of a port that is taken, serves the others, and takes it once it is free', async () => {
      const script = `require('node:net').createServer().listen(31003, '0.0.0.0', () => console.log('up'))`;
      const kubeProxy = await start(NODE, [process.execPath, '-e', script], 'up');
      const local = { type: 'LoadBalancer', externalTrafficPolicy: 'Local' };
      await createService('lb-a', { ...local, clusterIP: '10.96.0.82', healthCheckNodePort: 31_003 });
      await createService('lb-b', { ...local, clusterIP: '10.96.0.83', healthCheckNodePort: 31_004 });
      await statusIs('503', 31_004);
      await waitUntil('the warning', () =>
        agentLog.includes('Cannot serve the health check of default/lb-a on *:31003'),
      );
      await stop(kubeProxy);
      await statusIs('503', 31_003);
    });

    it('tells of node and proxy where kube-proxy does', async () => {
      assert.equal(await status(10_256), '200');
      assert.equal(await status(10_256, '/healthz', 'fd01::1'), '200');
      assert.match((await curl(POD, ['http://10.1.0.1:10256/healthz'])).stdout, /"lastUpdated":"2/);
      assert.equal((await curl(NODE, ['http://127.0.0.1:10249/proxyMode'])).stdout, 'nftables');
      assert.equal(await status(10_249, '/proxyMode'), REFUSED);
      const taints = [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }];
      await request('PATCH', '/api/v1/nodes/n', { spec: { taints } });
      await statusIs('503', 10_256);
      assert.equal(await status(10_256, '/livez'), '200');
    });
  });

  it('leaves all ports to kube-proxy when it serves global Services beside it', async () => {
    const annotations = { 'service.cilium.io/global': 'true' };
    const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 31_005 };
    const metadata = { name: 'global', annotations };
    await request('POST', SERVICES, { metadata, spec: { ...spec, ports: PORTS, clusterIP: '10.96.0.84' } });
    await createSlice('global', '10.1.0.2');
    const agent = await startAgent('global');
    const served = async () => (await curl(NODE, ['http://10.96.0.84/'])).stdout === 'served';
    await waitUntil('the Service to be served', served);
    for (const port of [31_005, 10_256]) assert.equal(await status(port), REFUSED);
    await stop(agent);
  });
});
