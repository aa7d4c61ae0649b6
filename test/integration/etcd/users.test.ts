import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startApiserver } from '@tombolo/clustermesh-apiserver/compose.ts';
import { parseApiserverConfig } from '@tombolo/clustermesh-apiserver/config.ts';
import { type Certificate, Pki } from '@tombolo/machine/pki.ts';
import { connectReader, connectWriter, restrictEtcd } from '@tombolo/shared/etcd/connect.ts';
import { EtcdError } from '@tombolo/shared/etcd/session/errors.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { EtcdServer, until } from './etcd-server.ts';

const isUnauthorized = (error: unknown): boolean => error instanceof EtcdError && error.kind === 'unauthorized';
const SERVICE = 'cilium/state/services/v1/east/ns/web';

describe('an etcd that is closed to all but its owner and one reader', () => {
  let directory: string;
  let pki: Pki;
  let server: EtcdServer;
  let admin: Certificate;
  let remote: Certificate;
  let other: Certificate;

  beforeEach(async () => {
    directory = await mkdtemp('/dev/shm/tbl-etcd-users-');
    pki = await Pki.create(directory);
    const own = await pki.issue('server', 'DNS:east.mesh.cilium.io,IP:127.0.0.1');
    admin = await pki.issue('root');
    remote = await pki.issue('remote');
    other = await pki.issue('other');
    server = await EtcdServer.start({
      scheme: 'https',
      flags: [
        ...['--client-cert-auth', `--trusted-ca-file=${pki.ca}`, `--cert-file=${own.cert}`, `--key-file=${own.key}`],
        '--enable-grpc-gateway=false',
      ],
      ready: (started) =>
        until('etcd answers', async () => {
          const reader = connectReader({ endpoints: [started.endpoint], tls: { ca: pki.ca, ...admin } });
          const answers = reader.get('ready', 1_000).then(
            () => true,
            () => false,
          );
          return answers.finally(() => reader.close());
        }),
    });
  });

  afterEach(async () => {
    await server?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  const as = (certificate: Certificate) => ({ endpoints: [server.endpoint], tls: { ca: pki.ca, ...certificate } });

  /** Whether somebody may read and write the entry of a Service. */
  async function mayDo(certificate: Certificate): Promise<{ readonly read: boolean; readonly write: boolean }> {
    const writer = connectWriter(as(certificate));
    const may = (promise: Promise<unknown>): Promise<boolean> =>
      promise.then(
        () => true,
        (error) => {
          if (isUnauthorized(error)) return false;
          throw error;
        },
      );
    try {
      return { read: await may(writer.get(SERVICE)), write: await may(writer.put(SERVICE, 'x')) };
    } finally {
      writer.close();
    }
  }

  it('lets the reader read what it was granted, and nobody else anything; again and again', async () => {
    const access = { user: 'remote', keys: ['cilium/cluster-config/east'], prefixes: ['cilium/state/'] };
    assert.deepEqual(await mayDo(other), { read: true, write: true }, 'before');
    for (let time = 0; time < 2; time += 1) {
      await restrictEtcd(as(admin), access);
      assert.deepEqual(await mayDo(admin), { read: true, write: true });
      assert.deepEqual(await mayDo(remote), { read: true, write: false });
      assert.deepEqual(await mayDo(other), { read: false, write: false });
    }
    const reader = connectReader(as(remote));
    assert.equal(await reader.get('cilium/cluster-config/east'), undefined);
    await assert.rejects(reader.get('cilium/cluster-config/west'), isUnauthorized);
    await restrictEtcd(as(admin), { ...access, keys: ['cilium/cluster-config/west'] });
    assert.equal(await reader.get('cilium/cluster-config/west'), undefined, 'granted later');
    reader.close();
    await assert.rejects(restrictEtcd(as(remote), access), isUnauthorized);
  });

  it('is made so by an apiserver that is told who the reader is, which is not ready before', async () => {
    const kubeconfig = join(directory, 'kubeconfig');
    const nowhere = { server: 'https://127.0.0.1:1' };
    await writeFile(
      kubeconfig,
      JSON.stringify({
        clusters: [{ name: 'c', cluster: nowhere }],
        contexts: [{ name: 'c', context: { cluster: 'c', user: '' } }],
        'current-context': 'c',
      }),
    );
    const parsed = parseApiserverConfig(
      [
        ...['--cluster-name=east', '--cluster-id=1', `--kubeconfig=${kubeconfig}`, '--health-port=0'],
        ...[`--etcd-endpoints=${server.endpoint}`, `--etcd-ca=${pki.ca}`, '--etcd-remote-user=remote'],
        ...[`--etcd-cert=${admin.cert}`, `--etcd-key=${admin.key}`],
      ],
      {},
    );
    assert(parsed !== 'help' && parsed.ok);
    await server.kill();
    const apiserver = await startApiserver(parsed.value, silentLogger);
    const readiness = async () => (await fetch(`http://127.0.0.1:${apiserver.healthPort}/readyz`)).text();
    assert.match(await readiness(), /Waiting for: .*etcd users/);
    await server.run();
    await until('etcd is closed', async () => !(await readiness()).includes('etcd users'));
    assert.deepEqual(await mayDo(remote), { read: true, write: false });
    const reader = connectReader(as(remote));
    await until('its heartbeat is read', async () => (await reader.get('cilium/.heartbeat')) !== undefined);
    reader.close();
    await apiserver.stop();
  });
});
