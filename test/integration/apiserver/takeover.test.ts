/**
 * One exporter after another, and two at a time, on one etcd: what readers see of it, which should be nothing. On the
 * small Kubernetes, whose API each exporter reaches by a door of its own.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Apiserver, startApiserver } from '@tombolo/clustermesh-apiserver/compose.ts';
import { parseApiserverConfig } from '@tombolo/clustermesh-apiserver/config.ts';
import { kubeconfig } from '@tombolo/machine/kubernetes/kubeconfig.ts';
import { connectReader } from '@tombolo/shared/etcd/connect.ts';
import type { PrefixEvent } from '@tombolo/shared/etcd/read/reader.ts';
import { type KubernetesApi, startKubernetesApi } from '@tombolo/small-kubernetes/api/start.ts';
import { type LogLine, recordingLogger } from '../../recording-logger.ts';
import { EtcdServer, until } from '../etcd/etcd-server.ts';
import { dump, etcdctl } from '../etcd/etcdctl.ts';
import { TcpGate } from '../etcd/tcp-gate.ts';

const SERVICES = 'cilium/state/services/v1/east/';
const IDENTITIES = 'cilium/state/identities/v1/id/';
const CANARY = 'cilium/synced/east/cilium/state/services/v1';
const GLOBAL = { 'service.cilium.io/global': 'true' };
const MEBIBYTE = 1024 * 1024;

interface Exporter {
  /** To Kubernetes. */
  readonly door: TcpGate;
  readonly logged: LogLine[];
  readiness(): Promise<{ readonly status: number; readonly text: string }>;
  stop(): Promise<void>;
}

describe('clustermesh-apiserver: one after another, and two at a time', () => {
  let api: KubernetesApi;
  let etcd: EtcdServer;
  let directory: string;
  const ends: (() => unknown)[] = [];

  async function begin(...etcdFlags: readonly string[]): Promise<void> {
    directory = await mkdtemp(join(tmpdir(), 'tbl-takeover-'));
    api = await startKubernetesApi({ port: 0 });
    etcd = await EtcdServer.start({ flags: etcdFlags });
    ends.push(
      () => rm(directory, { recursive: true }),
      () => api.close(),
      () => etcd.stop(),
    );
    await request('POST', '/api/v1/namespaces', { metadata: { name: 'shop' } });
    for (let i = 0; i < 20; i++) await service(`s${i}`);
  }

  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  async function request(method: string, path: string, body?: object): Promise<void> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const about = { method, headers: { 'content-type': type } };
    const response = await fetch(api.url + path, { ...about, ...(body && { body: JSON.stringify(body) }) });
    assert(response.ok, `${method} ${path}: ${response.status} ${await response.text()}`);
  }

  async function service(name: string): Promise<void> {
    const body = { metadata: { name, annotations: GLOBAL }, spec: { ports: [{ name: 'http', port: 80 }] } };
    await request('POST', '/api/v1/namespaces/shop/services', body);
  }

  async function pod(name: string, address: string): Promise<void> {
    const path = '/api/v1/namespaces/shop/pods';
    const spec = { containers: [{ name: 'c', image: 'i' }], nodeName: 'n1' };
    await request('POST', path, { metadata: { name, labels: { app: name } }, spec });
    const status = { phase: 'Running', podIP: address, podIPs: [{ ip: address }], hostIP: '192.168.0.1' };
    await request('PATCH', `${path}/${name}/status`, { status });
  }

  async function flags(door: TcpGate, instance: string): Promise<string[]> {
    const file = join(directory, `${instance}.kubeconfig`);
    await writeFile(file, kubeconfig([{ cluster: 'east', server: door.endpoint, tls: undefined }]));
    const cluster = ['--cluster-name=east', '--cluster-id=1', '--health-port=0', `--kubeconfig=${file}`];
    return [...cluster, `--etcd-endpoints=${etcd.endpoint}`, `--instance=${instance}`, '--kvstore-lease-ttl=35s'];
  }

  async function doorToKubernetes(): Promise<TcpGate> {
    const door = await TcpGate.to(api.url);
    ends.push(() => door.cut());
    return door;
  }

  async function start(instance: string, door?: TcpGate): Promise<Exporter> {
    const way = door ?? (await doorToKubernetes());
    const config = parseApiserverConfig(await flags(way, instance), {});
    assert(config !== 'help' && config.ok, JSON.stringify(config));
    const logged: LogLine[] = [];
    const running: Apiserver = await startApiserver(config.value, recordingLogger(logged));
    let stopped = false;
    const stop = async () => {
      if (!stopped) await running.stop();
      stopped = true;
    };
    ends.push(stop);
    const readiness = async () => {
      const response = await fetch(`http://127.0.0.1:${running.healthPort}/readyz`);
      return { status: response.status, text: await response.text() };
    };
    return { door: way, logged, readiness, stop };
  }

  const ready = (exporter: Exporter) =>
    until('ready', async () => (await exporter.readiness()).status === 200).catch(async (cause: unknown) => {
      const said = { now: await exporter.readiness(), log: exporter.logged.slice(-20) };
      throw new Error(JSON.stringify(said, undefined, 1), { cause });
    });

  /** All that it has of the kind is written. */
  const complete = async ({ logged }: Exporter, kind: string) =>
    logged.some(({ msg, fields }) => /^All entries of the kind/.test(msg) && fields['kind'] === kind);

  const has = async (name: string) => (await dump(etcd, SERVICES)).has(`${SERVICES}shop/${name}`);

  /** What happens to keys from now on. */
  async function watching(prefix: string): Promise<PrefixEvent[]> {
    const events: PrefixEvent[] = [];
    const reader = connectReader({ endpoints: [etcd.endpoint] });
    const stop = new AbortController();
    const following = reader.follow(prefix, (event) => events.push(event), stop.signal);
    ends.push(async () => {
      stop.abort();
      await following;
      reader.close();
    });
    await until('the watch', () => events.some(({ kind }) => kind === 'synced'));
    events.length = 0;
    return events;
  }

  const written = (events: readonly PrefixEvent[]) =>
    events.flatMap((event) => (event.kind === 'synced' ? [] : [`${event.kind} ${event.key.slice(SERVICES.length)}`]));

  async function revisions(): Promise<ReadonlyMap<string, number>> {
    const { kvs } = JSON.parse(await etcdctl(etcd, 'get', '--prefix', 'cilium/', '-w', 'json'));
    const all: (readonly [string, number])[] = kvs.map((kv: { key: string; mod_revision: number }) => [
      `${Buffer.from(kv.key, 'base64')}`,
      kv.mod_revision,
    ]);
    return new Map(all.filter(([key]) => !/heartbeat|synced/.test(key)));
  }

  it('a restart writes none of the entries again', async () => {
    await begin();
    const first = await start('one');
    await ready(first);
    const before = await revisions();
    assert.equal(before.size, 21);
    await first.stop();
    await ready(await start('two'));
    assert.deepEqual(await revisions(), before);
  });

  it('of two the other is ready, and takes over from one that has lost Kubernetes, for good', async () => {
    await begin();
    const first = await start('one');
    await ready(first);
    const second = await start('two');
    await ready(second);
    const events = await watching(SERVICES);
    await service('between');
    await until('written once', async () => has('between'));
    await first.door.cut();
    await request('DELETE', '/api/v1/namespaces/shop/services/s0');
    await service('later');
    await until('the takeover', () => has('later'), 40_000);
    await first.door.open();
    await service('last');
    await until('still the second', () => has('last'));
    await second.stop();
    await service('again');
    await until('the first again', () => has('again'), 60_000);
    const seen = written(events);
    assert.deepEqual(
      seen,
      ['put shop/between', 'delete shop/s0', 'put shop/later', 'put shop/last', 'put shop/again'].toSorted(
        (a, b) => seen.indexOf(a) - seen.indexOf(b),
      ),
    );
  });

  it('one whose watches have fallen behind says what Kubernetes has, and not what it remembers, when it takes over', async () => {
    await begin();
    const first = await start('one');
    await ready(first);
    const second = await start('two');
    await ready(second);
    second.door.silenceWatches();
    await request('DELETE', '/api/v1/namespaces/shop/services/s0');
    await service('later');
    await until('both written', async () => (await has('later')) && !(await has('s0')));
    const events = await watching(SERVICES);
    await first.stop();
    await until('the takeover', () => complete(second, 'services'), 40_000);
    assert.deepEqual(written(events), []);
    await service('last');
    await until('what is new', () => has('last'));
    assert.deepEqual(written(events), ['put shop/last']);
  });

  it('keeps the identity numbers that were given while it stood by', async () => {
    await begin();
    const first = await start('one');
    await ready(first);
    const second = await start('two');
    await ready(second);
    await pod('cart', '10.1.0.1');
    await until('its number', async () => (await dump(etcd, IDENTITIES)).size === 1);
    const [[key, labels] = ['', '']] = await dump(etcd, IDENTITIES);
    // Another number than the second would choose.
    await etcdctl(etcd, 'del', key);
    await etcdctl(etcd, 'put', `${IDENTITIES}65999`, labels);
    await first.stop();
    await until('the takeover', () => complete(second, 'identities'), 40_000);
    assert.deepEqual([...(await dump(etcd, IDENTITIES))], [[`${IDENTITIES}65999`, labels]]);
  });

  it('one that dies early leaves nothing that ends while its successor cannot reach Kubernetes', async () => {
    await begin();
    const door = await doorToKubernetes();
    const program = join(import.meta.dirname, '../../../packages/clustermesh-apiserver/src/main.ts');
    const child = spawn(process.execPath, [program, ...(await flags(door, 'one'))], { stdio: 'ignore' });
    ends.push(() => child.kill('SIGKILL'));
    await until('all canaries', async () => (await dump(etcd, 'cilium/synced/')).size === 4);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const [events, before] = [await watching('cilium/'), await revisions()];
    await door.cut();
    const second = await start('two', door);
    const past = performance.now() + 37_000;
    await until('the leases of the first to be past', () => performance.now() > past, 40_000);
    assert.deepEqual(
      events.filter(({ kind }) => kind === 'delete'),
      [],
    );
    assert.deepEqual(await revisions(), before);
    assert(
      events.some((event) => event.kind === 'put' && event.key === CANARY),
      'its canary is kept alive',
    );
    assert.equal((await second.readiness()).status, 503);
    await door.open();
    await ready(second);
    assert.deepEqual(await revisions(), before);
  });

  it('is not ready while etcd has no space, says so, and goes on when it has', async () => {
    await begin(`--quota-backend-bytes=${4 * MEBIBYTE}`);
    const exporter = await start('one');
    await ready(exporter);
    const filler = join(directory, 'filler');
    await writeFile(filler, 'x'.repeat(MEBIBYTE));
    const fill = `etcdctl --endpoints=${etcd.endpoint} put filler < ${filler}`;
    const env = { ...process.env, ETCDCTL_API: '3' };
    // etcd may refuse a write before its alarm is on, and still take a smaller one.
    await until('the alarm of etcd', async () => {
      await once(spawn('sh', ['-c', fill], { stdio: 'ignore', env }), 'exit');
      return (await etcdctl(etcd, 'alarm', 'list')).includes('NOSPACE');
    });
    await service('late');
    await until('not ready', async () => (await exporter.readiness()).status === 503);
    assert.match((await exporter.readiness()).text, /etcd space: .*database space exceeded/);
    assert(!(await has('late')));
    await etcdctl(etcd, 'del', 'filler');
    const { header } = JSON.parse(await etcdctl(etcd, 'get', 'x', '-w', 'json'));
    await etcdctl(etcd, 'compact', `${header.revision}`, '--physical');
    await etcdctl(etcd, 'defrag');
    await etcdctl(etcd, 'alarm', 'disarm');
    await ready(exporter);
    await until('what was not written', () => has('late'));
  });
});
