/**
 * What the chart, and the script for those without Helm, make for etcd, in the hands of those it is for: etcd and the apiserver run with the arguments of their
 * containers, and a reader with the Secret that is handed over. Without a cluster.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startApiserver } from '@tombolo/clustermesh-apiserver/compose.ts';
import { parseApiserverConfig } from '@tombolo/clustermesh-apiserver/config.ts';
import { parseClusterFile } from '@tombolo/node-agent/mesh/clustermesh-file.ts';
import type { EtcdConfig } from '@tombolo/shared/etcd/config.ts';
import { connectReader, connectWriter } from '@tombolo/shared/etcd/connect.ts';
import { EtcdError } from '@tombolo/shared/etcd/session/errors.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { until } from '../etcd/etcd-server.ts';
import { EAST, type Manifest, parseManifests, secretFiles, template } from './helm.ts';
import { containerOf } from './workloads.ts';

const SCRIPT = fileURLToPath(new URL('../../../deploy/kubernetes/certificates', import.meta.url));

/** What makes the Secrets, for an etcd that is reached at this port. */
const MAKERS = {
  'the chart': (port: number) =>
    template({ ...EAST, 'clustermeshApiserver.advertise': { address: '', ips: ['127.0.0.1'], port } }),
  'the script for those without Helm': async (port: number) => {
    const secrets = execFileSync(SCRIPT, ['east', '127.0.0.1', String(port)]).toString();
    const byHand = {
      method: 'secrets',
      secrets: { server: 'tombolo-etcd-server', admin: 'tombolo-etcd-admin', remote: 'r' },
    };
    return [...(await template({ ...EAST, 'clustermeshApiserver.tls': byHand })), ...parseManifests(secrets)];
  },
};

for (const [maker, make] of Object.entries(MAKERS))
  describe(`the certificates of ${maker}`, () => {
    let directory: string;
    let manifests: readonly Manifest[];
    let etcd: ChildProcess;
    let handedOver: EtcdConfig;
    const ports = { client: 0, peer: 0, metrics: 0 };

    before(async () => {
      directory = await mkdtemp('/dev/shm/tbl-chart-');
      for (const name of ['client', 'peer', 'metrics'] as const) ports[name] = await freePort();
      manifests = await make(ports.client);
      for (const name of ['etcd-server', 'etcd-admin', 'remote-east']) await mount(`tombolo-${name}`, name);
      etcd = spawn('etcd', argumentsOf('etcd'), { stdio: 'ignore' });
      handedOver = clusterFile();
    });

    after(async () => {
      if (etcd && etcd.exitCode === null) {
        etcd.kill('SIGKILL');
        await once(etcd, 'exit');
      }
      if (directory) await rm(directory, { recursive: true });
    });

    /** What the kubelet does with a Secret. */
    async function mount(secret: string, name: string): Promise<void> {
      await mkdir(join(directory, name));
      for (const [file, content] of secretFiles(manifests, secret))
        await writeFile(join(directory, name, file), content);
    }

    /** Of a container, with the paths and ports of this test in place of the pod's. */
    function argumentsOf(container: string): readonly string[] {
      const { args = [] } = containerOf(manifests, 'tombolo-clustermesh-apiserver', container);
      return args.map((argument) =>
        argument
          .replace('/etc/tombolo', directory)
          .replace('/var/lib/etcd', directory)
          .replace('$(POD_UID)', 'a-pod')
          .replace('0.0.0.0', '127.0.0.1')
          .replace('$(POD_IP)', '127.0.0.1')
          .replace(':2379', `:${ports.client}`)
          .replace(':2380', `:${ports.peer}`)
          .replace(':2381', `:${ports.metrics}`),
      );
    }

    function clusterFile(): EtcdConfig {
      const text = String(secretFiles(manifests, 'tombolo-remote-east').get('east'));
      const parsed = parseClusterFile('east', text, join(directory, 'remote-east'));
      assert(parsed.ok, JSON.stringify(parsed));
      return parsed.value;
    }

    it('let the apiserver write, other clusters read by the name of the cluster, and nobody else in', async () => {
      const kubeconfig = join(directory, 'kubeconfig');
      await writeFile(kubeconfig, JSON.stringify(NOWHERE));
      const config = parseApiserverConfig(
        [...argumentsOf('apiserver'), `--kubeconfig=${kubeconfig}`, '--health-port=0'],
        {},
      );
      assert(config !== 'help' && config.ok, JSON.stringify(config));
      const apiserver = await startApiserver(config.value, silentLogger);
      const reader = connectReader(handedOver);
      assert.deepEqual(handedOver.hostAliases, [{ hostname: 'east.mesh.cilium.io', ips: ['127.0.0.1'] }]);
      try {
        await until('the heartbeat is read', () =>
          reader.get('cilium/.heartbeat', 1_000).then(
            (entry) => entry !== undefined,
            () => false,
          ),
        );
        const waiting = async () => (await fetch(`http://127.0.0.1:${apiserver.healthPort}/readyz`)).text();
        await until('etcd has users', async () => !(await waiting()).includes('etcd users'));
        const writer = connectWriter(handedOver);
        await assert.rejects(
          writer.put('cilium/state/services/v1/east/ns/web', 'forged'),
          (error) => error instanceof EtcdError && error.kind === 'unauthorized',
        );
        writer.close();
      } finally {
        reader.close();
        await apiserver.stop();
      }
      const { cert: _cert, key: _key, ...anonymous } = handedOver.tls ?? {};
      const stranger = connectReader({ ...handedOver, tls: anonymous });
      await assert.rejects(stranger.get('cilium/.heartbeat', 2_000), EtcdError);
      stranger.close();
    });

    it('leave the kubelet a way to ask for the health of etcd', async () => {
      const answer = await fetch(`http://127.0.0.1:${ports.metrics}/health`);
      assert.deepEqual(await answer.json(), { health: 'true' });
    });
  });

/** A kubeconfig with an API server that does not answer. */
const NOWHERE = {
  clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
  contexts: [{ name: 'c', context: { cluster: 'c', user: '' } }],
  'current-context': 'c',
};

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('Cannot find a free port');
  return address.port;
}
