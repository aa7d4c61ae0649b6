/** The chart on a real API server, without nodes: it takes what the chart makes, and an upgrade keeps what must be kept. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { KubernetesObject } from '@tombolo/machine/kubernetes/objects.ts';
import { type LoopbackControlPlane, startLoopbackControlPlane } from '@tombolo/real-kubernetes/run/loopback.ts';
import { CHART, EAST, helm, NAMESPACE, setting, type Values } from './helm.ts';

const MANIFESTS = fileURLToPath(new URL('../../../deploy/kubernetes', import.meta.url));

interface Secret extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

describe('the chart on a real API server', () => {
  let kubernetes: LoopbackControlPlane;
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tbl-chart-'));
    kubernetes = await startLoopbackControlPlane({ name: 'tchart' });
    const client = kubernetes.controlPlane.client();
    await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
    for (const [name, address] of [
      ['node-a', '192.0.2.10'],
      ['node-b', '192.0.2.11'],
    ]) {
      await client.create({ apiVersion: 'v1', kind: 'Node', metadata: { name: name ?? '' } });
      const status = { addresses: [{ type: 'InternalIP', address }] };
      await client.patch({ apiVersion: 'v1', kind: 'Node', metadata: { name: name ?? '' } }, { status }, 'status');
    }
  });
  after(async () => {
    await kubernetes?.close();
    await rm(directory, { recursive: true });
  });

  async function run(action: readonly string[], values: Values = {}): Promise<string> {
    const where = [`--kubeconfig=${kubernetes.kubeconfig}`, `--namespace=${NAMESPACE}`];
    const { ok, stdout, stderr } = await helm(...action, ...where, ...setting(values));
    if (!ok) throw new Error(`Cannot ${action[0]}: ${stderr}`);
    return stdout;
  }

  const kubectl = async (script: string): Promise<string> => {
    const command = script.replaceAll('kubectl', `${kubernetes.kubectl} --kubeconfig=${kubernetes.kubeconfig}`);
    return (await promisify(execFile)('bash', ['-o', 'pipefail', '-c', command])).stdout;
  };

  const secret = async (name: string): Promise<Readonly<Record<string, string>>> =>
    (
      await kubernetes.controlPlane
        .client()
        .find<Secret>({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: NAMESPACE } })
    )?.data ?? {};

  async function certificates(): Promise<Readonly<Record<string, Readonly<Record<string, string>>>>> {
    const found: Record<string, Readonly<Record<string, string>>> = {};
    for (const name of ['ca', 'etcd-server', 'etcd-admin', 'etcd-remote', 'remote-east']) {
      found[name] = await secret(`tombolo-${name}`);
    }
    return found;
  }

  const clusterFile = async (): Promise<string> =>
    Buffer.from((await secret('tombolo-remote-east'))['east'] ?? '', 'base64').toString();

  const VARIANTS: readonly Values[] = [
    {},
    { 'clustermeshApiserver.etcd.storage.type': 'volume', 'clustermeshApiserver.replicas': 3 },
    { 'nodeAgent.privileged': true, 'metrics.enabled': true, 'clustermeshApiserver.service.type': 'LoadBalancer' },
    {
      'nodeAgent.services': 'all',
      'kubernetesApi.host': '192.0.2.1',
      'clustermeshApiserver.service.type': 'ClusterIP',
    },
    { 'clustermeshApiserver.networkPolicy.restrictEgress': true, 'clustermeshApiserver.service.nodePort': null },
  ];
  for (const values of VARIANTS) {
    it(`is taken by a dry run: ${JSON.stringify(values)}`, async () => {
      const dry = ['install', 'tombolo', CHART, '--dry-run=server'];
      const made = await run(dry, { ...EAST, ...values });
      assert.match(made, /kind: DaemonSet/);
      // Helm asks the server about the form only: here admission looks at each object, too.
      const rendered = join(directory, 'rendered.yaml');
      await writeFile(rendered, await run(['template', 'tombolo', CHART, '--no-hooks'], { ...EAST, ...values }));
      await kubectl(`kubectl apply --server-side --dry-run=server -f ${rendered}`);
    });
  }

  it('is taken as plain manifests', async () => {
    for (const file of ['namespace.yaml', 'tombolo.yaml', 'uninstall/daemonset.yaml']) {
      await kubectl(`kubectl apply --server-side --dry-run=server -f ${MANIFESTS}/${file}`);
    }
  });

  it('keeps certificates, and what was handed over, in upgrade and rollback', async () => {
    await run(['install', 'tombolo', CHART], EAST);
    const installed = await certificates();
    for (const [name, data] of Object.entries(installed)) assert.ok(Object.keys(data).length >= 2, name);
    assert.match(await clusterFile(), /- https:\/\/east\.mesh\.cilium\.io:32379\n/);
    assert.match(await clusterFile(), /ips: \["192\.0\.2\.10","192\.0\.2\.11"\]/);

    // As deploy/README.md says it, with one cluster for two.
    await kubectl(
      "kubectl -n tombolo get secret tombolo-remote-east -o jsonpath='data: {.data}' | " +
        'kubectl -n tombolo patch secret tombolo-clustermesh --patch-file /dev/stdin',
    );
    assert.deepEqual(await secret('tombolo-clustermesh'), installed['remote-east']);

    await run(['upgrade', 'tombolo', CHART], { ...EAST, logLevel: 'debug' });
    assert.deepEqual(await certificates(), installed);
    assert.deepEqual(await secret('tombolo-clustermesh'), installed['remote-east']);
    await run(['rollback', 'tombolo', '1']);
    assert.deepEqual(await certificates(), installed);
    assert.deepEqual(await secret('tombolo-clustermesh'), installed['remote-east']);

    await kubectl(`kubectl -n tombolo patch secret tombolo-clustermesh -p '{"data":{"east":null}}'`);
    assert.equal((await secret('tombolo-clustermesh'))['east'], undefined);
  });

  it('makes a certificate anew that lacks a name or comes to its end, and no other', async () => {
    const before = await certificates();
    const named = { ...EAST, 'clustermeshApiserver.advertise.address': 'east.example.net' };
    await run(['upgrade', 'tombolo', CHART], named);
    const after = await certificates();
    assert.notEqual(after['etcd-server']?.['tls.crt'], before['etcd-server']?.['tls.crt']);
    for (const same of ['ca', 'etcd-admin', 'etcd-remote']) assert.deepEqual(after[same], before[same], same);
    assert.match(await clusterFile(), /- https:\/\/east\.example\.net:32379\n(?![\s\S]*cilium-host-aliases)/);

    await kubectl('kubectl -n tombolo annotate --overwrite secret tombolo-etcd-remote tombolo/renew-after=1');
    await run(['upgrade', 'tombolo', CHART, '--force-conflicts'], named);
    const renewed = await certificates();
    assert.notEqual(renewed['etcd-remote']?.['tls.crt'], after['etcd-remote']?.['tls.crt']);
    assert.deepEqual(renewed['etcd-server'], after['etcd-server']);
    assert.equal(renewed['remote-east']?.['east.etcd-client.crt'], renewed['etcd-remote']?.['tls.crt']);
  });

  it('leaves nothing in the API when it is uninstalled', async () => {
    await run(['uninstall', 'tombolo', '--no-hooks', '--wait']);
    const kinds = 'daemonset,deployment,service,secret,serviceaccount,networkpolicy,poddisruptionbudget';
    const left = await kubectl(
      `kubectl -n tombolo get ${kinds},clusterrole,clusterrolebinding -l app.kubernetes.io/name=tombolo -o name`,
    );
    assert.equal(left, '');
  });
});
