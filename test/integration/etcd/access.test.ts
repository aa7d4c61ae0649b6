import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Certificate, Pki } from '@tombolo/machine/pki.ts';
import type { EtcdTls } from '@tombolo/shared/etcd/config.ts';
import { connectReader, connectWriter } from '@tombolo/shared/etcd/connect.ts';
import type { EtcdReader } from '@tombolo/shared/etcd/read/reader.ts';
import { EtcdError } from '@tombolo/shared/etcd/session/errors.ts';
import { EtcdServer, until } from './etcd-server.ts';
import { etcdctl } from './etcdctl.ts';
import { Mirror } from './mirror.ts';
import { TcpGate } from './tcp-gate.ts';

/** What a peer may read, as a ClusterMesh etcd grants it. */
const REMOTE_ROLE = [
  ['cilium/.heartbeat', 'cilium/.heartbeau'],
  ['cilium/state/', 'cilium/state0'],
  ['cilium/cluster-config/east', ''],
  ['cilium/synced/east/', 'cilium/synced/east0'],
];

function isUnauthorized(error: unknown): boolean {
  return error instanceof EtcdError && error.kind === 'unauthorized';
}

async function grantRemoteRole(control: (...words: string[]) => Promise<string>): Promise<void> {
  await control('role', 'add', 'remote');
  for (const [from = '', to] of REMOTE_ROLE) {
    await control('role', 'grant-permission', 'remote', 'read', from, ...(to ? [to] : []));
  }
}

describe('access to an etcd with TLS, client certificates and roles', () => {
  let directory: string;
  let pki: Pki;
  let server: EtcdServer;
  let remote: Certificate;
  let other: Certificate;
  let otherCa: string;
  const readers: EtcdReader[] = [];

  before(async () => {
    directory = await mkdtemp('/dev/shm/tbl-etcd-pki-');
    pki = await Pki.create(directory);
    const own = await pki.issue('server', 'DNS:east.mesh.cilium.io,IP:127.0.0.1');
    const admin = await pki.issue('root');
    remote = await pki.issue('remote');
    const foreign = await Pki.create(directory, 'foreign');
    other = await foreign.issue('remote');
    otherCa = foreign.ca;
    const asAdmin = [`--cacert=${pki.ca}`, `--cert=${admin.cert}`, `--key=${admin.key}`];
    server = await EtcdServer.start({
      scheme: 'https',
      flags: ['--client-cert-auth', `--trusted-ca-file=${pki.ca}`, `--cert-file=${own.cert}`, `--key-file=${own.key}`],
      ready: (started) =>
        until('etcd answers', () =>
          etcdctl(started, 'get', 'x', ...asAdmin).then(
            () => true,
            () => false,
          ),
        ),
    });
    const control = (...words: string[]) => etcdctl(server, ...words, ...asAdmin);
    for (const user of ['root', 'remote']) await control('user', 'add', user, '--no-password');
    await control('user', 'grant-role', 'root', 'root');
    await grantRemoteRole(control);
    await control('user', 'grant-role', 'remote', 'remote');
    await control('put', 'cilium/state/services/v1/east/ns/web', 'web');
    await control('put', 'cilium/cluster-config/east', 'config');
    await control('put', 'cilium/cache/services/v1/west/ns/web', 'hidden');
    await control('auth', 'enable');
  });

  afterEach(() => {
    for (const reader of readers.splice(0)) reader.close();
  });

  after(async () => {
    await server?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  function open(tls: EtcdTls, config: { endpoint?: string; alias?: string } = {}): EtcdReader {
    const reader = connectReader({
      endpoints: [config.endpoint ?? server.endpoint],
      tls,
      ...(config.alias !== undefined && { hostAliases: [{ hostname: config.alias, ips: ['127.0.0.1'] }] }),
    });
    readers.push(reader);
    return reader;
  }

  const asRemote = (): EtcdTls => ({ ca: pki.ca, ...remote });

  it('reads what its role allows', async () => {
    const reader = open(asRemote());
    const mirror = new Mirror(reader, 'cilium/state/services/v1/east/');
    await until('synced', () => mirror.syncs === 1);
    assert.deepEqual([...mirror.state.values()], ['web']);
    assert.equal((await reader.get('cilium/cluster-config/east'))?.value.toString(), 'config');
    assert.equal(await reader.get('cilium/.heartbeat'), undefined);
    await mirror.stop();
  });

  it('is told for good when a prefix is beyond its role, and which', async () => {
    const reader = open(asRemote());
    for (const prefix of ['cilium/cache/services/v1/west/', 'cilium/', 'cilium/cluster-config/', '']) {
      await assert.rejects(
        reader.follow(prefix, () => {}, new AbortController().signal),
        (error) =>
          isUnauthorized(error) && String(error).includes(`"${prefix}"`) && /permission denied/.test(`${error}`),
      );
    }
    await assert.rejects(reader.get('cilium/cluster-config/west'), isUnauthorized);
    assert.equal((await reader.get('cilium/cluster-config/east'))?.value.toString(), 'config');
  });

  it('cannot write, whatever it is connected with', async () => {
    const writer = connectWriter({ endpoints: [server.endpoint], tls: asRemote() });
    readers.push(writer);
    await assert.rejects(writer.put('cilium/state/services/v1/east/ns/web', 'forged'), isUnauthorized);
    await assert.rejects(writer.delete('cilium/state/services/v1/east/ns/web'), isUnauthorized);
  });

  const refused: { title: string; tls: () => EtcdTls; reason: RegExp }[] = [
    { title: 'no client certificate', tls: () => ({ ca: pki.ca }), reason: /expected an answer: ./ },
    {
      title: 'a client certificate of another CA',
      tls: () => ({ ca: pki.ca, ...other }),
      reason: /expected an answer: ./,
    },
    { title: 'a server of another CA', tls: () => ({ ca: otherCa, ...remote }), reason: /unable to verify|signature/ },
    { title: 'no CA', tls: () => ({ ...remote }), reason: /unable to verify|self.signed/ },
    { title: 'a missing file', tls: () => ({ ca: '/nowhere/ca.crt' }), reason: /\/nowhere\/ca\.crt.*ENOENT/ },
  ];
  for (const { title, tls, reason } of refused) {
    it(`says what is wrong with ${title}`, async () => {
      await assert.rejects(
        open(tls()).get('cilium/cluster-config/east', 2_000),
        (error) => error instanceof EtcdError && error.kind === 'unavailable' && reason.test(error.message),
      );
    });
  }

  it('dials an alias and checks the certificate against the name', async () => {
    const port = new URL(server.endpoint).port;
    const named = (name: string) => open(asRemote(), { endpoint: `https://${name}:${port}`, alias: name });
    assert.ok(await named('east.mesh.cilium.io').get('cilium/cluster-config/east'));
    await assert.rejects(
      named('east.example.org').get('cilium/cluster-config/east', 2_000),
      /altnames|does not match/i,
    );
  });

  it('takes up rotated certificates without being opened anew', async () => {
    const cert = join(directory, 'mounted.crt');
    const key = join(directory, 'mounted.key');
    await copyFile(other.cert, cert);
    await copyFile(other.key, key);
    const reader = open({ ca: pki.ca, cert, key });
    await assert.rejects(reader.get('cilium/cluster-config/east', 2_000));
    const mirror = new Mirror(reader, 'cilium/state/');
    await copyFile(remote.cert, cert);
    await copyFile(remote.key, key);
    await until('synced', () => mirror.syncs === 1);
    await mirror.stop();
  });
});

describe('access to an etcd with passwords', () => {
  let server: EtcdServer;
  let gate: TcpGate;
  let reader: EtcdReader;
  const control = (...words: string[]) => etcdctl(server, '--user=root:secret', ...words);

  beforeEach(async () => {
    server = await EtcdServer.start();
    gate = await TcpGate.to(server.endpoint);
    await etcdctl(server, 'user', 'add', 'root:secret');
    await etcdctl(server, 'user', 'grant-role', 'root', 'root');
    await etcdctl(server, 'user', 'add', 'remote:hunter2');
    await grantRemoteRole((...words) => etcdctl(server, ...words));
    await etcdctl(server, 'user', 'grant-role', 'remote', 'remote');
    await etcdctl(server, 'put', 'cilium/state/a', 'one');
    await etcdctl(server, 'auth', 'enable');
    reader = connectReader({ endpoints: [gate.endpoint], username: 'remote', password: 'hunter2' });
  });

  afterEach(async () => {
    reader.close();
    await gate.cut();
    await server.stop();
  });

  it('goes on when its token went stale or was forgotten by a restart', async () => {
    const mirror = new Mirror(reader, 'cilium/state/');
    await until('synced', () => mirror.syncs === 1);
    await control('user', 'add', 'another:user');
    await gate.cut();
    await gate.open();
    await control('put', 'cilium/state/b', 'two');
    await until('the event', () => mirror.state.has('cilium/state/b'));
    await control('user', 'add', 'third:user');
    await until('it reads', () =>
      reader.get('cilium/state/a').then(
        () => true,
        () => false,
      ),
    );
    await server.kill();
    await server.run();
    await control('put', 'cilium/state/c', 'three');
    await until('the event', () => mirror.state.has('cilium/state/c'));
    await mirror.stop();
  });

  it('ends for good when its permission was taken away', async () => {
    const mirror = new Mirror(reader, 'cilium/state/');
    await until('synced', () => mirror.syncs === 1);
    await control('user', 'revoke-role', 'remote', 'remote');
    await gate.cut();
    await gate.open();
    const outcome = await mirror.outcome;
    assert.ok(isUnauthorized(outcome), String(outcome));
    assert.deepEqual([...mirror.state.keys()], ['cilium/state/a']);
  });

  for (const { title, username, password } of [
    { title: 'a wrong password', username: 'remote', password: 'wrong-secret' },
    { title: 'an unknown user', username: 'nobody', password: 'wrong-secret' },
    { title: 'no user', username: undefined, password: undefined },
  ]) {
    it(`ends for good with ${title}, and does not tell the password`, async () => {
      const refused = connectReader({ endpoints: [server.endpoint], username, password });
      await assert.rejects(
        refused.follow('cilium/state/', () => {}, new AbortController().signal),
        (error) => isUnauthorized(error) && !String(error).includes('wrong-secret'),
      );
      refused.close();
    });
  }

  it('gives up logging in when it is closed', async () => {
    await server.pause();
    let reason = '';
    const reading = reader.get('cilium/state/a').catch((error: unknown) => {
      reason = String(error);
    });
    reader.close();
    // Well before the deadline of the login.
    await until('the call was given up', () => reason !== '', 5_000);
    assert.match(reason, /was closed/);
    await reading;
  });

  it('needs no user where authentication is switched off', async () => {
    await control('auth', 'disable');
    assert.ok(await reader.get('cilium/state/a'));
  });
});
