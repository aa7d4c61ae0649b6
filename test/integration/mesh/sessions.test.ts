/** Sessions with real etcds: what the etcds in memory of the unit tests pretend, and what they cannot. */
import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pki } from '@tombolo/machine/pki.ts';
import { Recorder, Writer } from '@tombolo/node-agent/mesh/mesh.fixture.ts';
import { type Mesh, type MeshTiming, startMesh } from '@tombolo/node-agent/mesh/mesh.ts';
import { connectReader, connectWriter } from '@tombolo/shared/etcd/connect.ts';
import type { EtcdWriter } from '@tombolo/shared/etcd/write/writer.ts';
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ClusterStatus } from '@tombolo/shared/model/service-table.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { EtcdServer, until } from '../etcd/etcd-server.ts';
import { TcpGate } from '../etcd/tcp-gate.ts';

const local: ClusterIdentity = { name: 'east' as ClusterName, id: 1 };
const WEST = 'west' as ClusterName;

describe('mesh sessions with a real etcd', () => {
  const cleanups: (() => Promise<unknown> | unknown)[] = [];
  let directory = '';
  let told: Recorder;
  let mesh: Mesh;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tbl-mesh-it-'));
    cleanups.push(() => rm(directory, { recursive: true, force: true }));
    told = new Recorder();
  });
  afterEach(async () => {
    for (let clean = cleanups.pop(); clean; clean = cleanups.pop()) await clean();
  });

  function start(timing: Partial<MeshTiming> = {}): void {
    mesh = startMesh({
      directory,
      local,
      maxClusters: 255,
      listener: told,
      connect: connectReader,
      log: silentLogger,
      timing: { confirmMs: 50, ...timing },
    });
    cleanups.push(() => mesh.close());
  }

  async function file(content: string): Promise<void> {
    await writeFile(join(directory, '.west'), content);
    await rename(join(directory, '.west'), join(directory, WEST));
  }

  async function server(options?: Parameters<typeof EtcdServer.start>[0]): Promise<EtcdServer> {
    const etcd = await EtcdServer.start(options);
    cleanups.push(() => etcd.stop());
    return etcd;
  }

  function writerTo(endpoint: string): Writer<Pick<EtcdWriter, 'put' | 'delete'>> {
    const etcd = connectWriter({ endpoints: [endpoint] });
    cleanups.push(() => etcd.close());
    const { signal } = new AbortController();
    // After a restart of etcd it may not have heard of it yet.
    const store: Pick<EtcdWriter, 'put' | 'delete'> = {
      put: (key, value) => etcd.ready(signal).then(() => etcd.put(key, value)),
      delete: (key) => etcd.ready(signal).then(() => etcd.delete(key)),
    };
    return new Writer(store, WEST, 2);
  }

  const west = (): ClusterStatus | undefined => told.statuses?.get(WEST);
  const heard = () => until('west is heard', () => west()?.control === 'heard');

  it('lists, follows and withdraws', async () => {
    const etcd = await server();
    const writer = writerTo(etcd.endpoint);
    await writer.everything({ 'a/x': ['10.2.0.1'], 'a/y': ['10.2.0.2'] });
    await writer.node('n1');
    await file(`endpoints: [${etcd.endpoint}]`);
    start();
    await heard();
    await writer.service('a/z', ['10.2.0.3', '10.2.0.4']);
    await writer.withdraw('a/x');
    await until(
      'the table has it',
      () =>
        told.backends.join() === ['west a/y 10.2.0.2:8080', 'west a/z 10.2.0.3:8080', 'west a/z 10.2.0.4:8080'].join(),
    );
    await until(
      'the status has counted it',
      () => [west()?.services, west()?.backends, west()?.nodes, west()?.id].join() === '2,3,1,2',
    );
  });

  it('keeps what it knows over a cut, a restart and an emptied etcd, and takes over what is new', async () => {
    const etcd = await server();
    const gate = await TcpGate.to(etcd.endpoint);
    cleanups.push(() => gate.cut());
    const writer = writerTo(etcd.endpoint);
    await writer.everything({ 'a/x': ['10.2.0.1'], 'a/y': ['10.2.0.2'] });
    await file(`endpoints: ["${gate.endpoint}"]`);
    start();
    await heard();

    await gate.cut();
    await until('the fault is named', () => west()?.lastError !== '');
    await writer.withdraw('a/x');
    await writer.service('a/z', ['10.2.0.3']);
    assert.equal(told.backends.length, 2);
    await gate.open();
    await until('the cut is mended', () => told.backends.join() === 'west a/y 10.2.0.2:8080,west a/z 10.2.0.3:8080');

    await etcd.kill();
    await etcd.run();
    await writer.service('a/x', ['10.2.0.1']);
    await until('it is followed again', () => told.backends.length === 3);

    told.take();
    await etcd.kill();
    await etcd.wipe();
    await etcd.run();
    await writer.config();
    await writer.heartbeat();
    await until('the session saw that the canary is gone', () => west()?.control !== 'heard');
    assert.equal(told.backends.length, 3, 'an etcd without data withdraws nothing');
    await writer.service('a/y', ['10.2.0.2']);
    await writer.synced();
    await until('the new listing is in force', () => told.backends.join() === 'west a/y 10.2.0.2:8080');
    assert.ok(!told.take().includes('- west a/y'), 'what stayed was never withdrawn');
  });

  it('falls silent with its writer and comes back with it', async () => {
    const etcd = await server();
    const writer = writerTo(etcd.endpoint);
    await writer.everything({ 'a/x': ['10.2.0.1'] });
    await file(`endpoints: [${etcd.endpoint}]`);
    start({ heartbeatMs: 1_000 });
    await until('west is silent', () => west()?.control === 'silent');
    assert.deepEqual(
      told.take().filter((line) => line.includes(' is ')),
      ['west/2 is synced', 'west/2 is stale'],
    );
    await writer.withdraw('a/x');
    await until('another session began', () => (west()?.failures ?? 0) > 1);
    assert.equal(told.backends.length, 1, 'nothing is withdrawn while it is silent');
    const beat = setInterval(() => void writer.heartbeat(), 100);
    cleanups.push(() => clearInterval(beat));
    await until(
      'west is heard and the withdrawal counts',
      () => west()?.control === 'heard' && told.backends.length === 0,
    );
    clearInterval(beat);
  });

  it('names an etcd that cannot be reached, and joins when it is there', async () => {
    const etcd = await server();
    await etcd.kill();
    await file(`endpoints: [${etcd.endpoint}]`);
    start();
    await until('the fault is named', () => west()?.control === 'failed');
    assert.match(west()?.lastError ?? '', new RegExp(etcd.endpoint));
    await etcd.run();
    await writerTo(etcd.endpoint).everything({ 'a/x': ['10.2.0.1'] });
    await heard();
    assert.equal(west()?.lastError, '');
  });

  it('speaks TLS with the files that the clustermesh file names', async () => {
    const pki = await Pki.create(directory);
    const serving = await pki.issue('etcd', 'IP:127.0.0.1,DNS:west.mesh.cilium.io');
    const client = await pki.issue('remote');
    const tls = { ca: pki.ca, cert: client.cert, key: client.key };
    const etcd = await server({
      scheme: 'https',
      flags: [
        `--cert-file=${serving.cert}`,
        `--key-file=${serving.key}`,
        `--trusted-ca-file=${pki.ca}`,
        '--client-cert-auth',
      ],
      ready: async ({ endpoint }) => {
        const reader = connectReader({ endpoints: [endpoint], tls });
        await until('etcd answers', () =>
          reader.get('x', 1_000).then(
            () => true,
            () => false,
          ),
        );
        reader.close();
      },
    });
    const connection = connectWriter({ endpoints: [etcd.endpoint], tls });
    cleanups.push(() => connection.close());
    await new Writer(connection, WEST, 2).everything({ 'a/x': ['10.2.0.1'] });
    const { port } = new URL(etcd.endpoint);
    await file(
      [
        `endpoints: ["https://west.mesh.cilium.io:${port}"]`,
        `trusted-ca-file: ${pki.ca}`,
        `cert-file: ${client.cert}`,
        `key-file: ${client.key}`,
        'cilium-host-aliases: [{hostname: west.mesh.cilium.io, ips: [127.0.0.1]}]',
      ].join('\n'),
    );
    start();
    await heard();
    assert.equal(told.backends.length, 1);
  });

  it('reads 5,000 Services and a Service of 20,000 backends', async () => {
    const etcd = await server();
    const writer = writerTo(etcd.endpoint);
    const many = Array.from({ length: 20_000 }, (_, i) => `10.${2 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`);
    await writer.everything({ 'a/big': many });
    for (let i = 0; i < 5_000; i += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, k) => writer.service(`a/s${i + k}`, ['10.2.0.1'])));
    }
    await file(`endpoints: [${etcd.endpoint}]`);
    const started = performance.now();
    start();
    await heard();
    await until('all is counted', () => west()?.services === 5_001 && west()?.backends === 25_000);
    assert.deepEqual(west()?.quarantined, []);
    process.stderr.write(`      heard completely after ${Math.round(performance.now() - started)} ms\n`);
  });
});
