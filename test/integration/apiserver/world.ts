/** A cluster for tests of the clustermesh-apiserver: a real etcd, a Kubernetes API on loopback, and the facts in it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Apiserver, startApiserver } from '@tombolo/clustermesh-apiserver/compose.ts';
import { parseApiserverConfig } from '@tombolo/clustermesh-apiserver/config.ts';
import type { LogFields, Logger } from '@tombolo/shared/process/logger.ts';
import { type KubernetesApi, startKubernetesApi } from '@tombolo/small-kubernetes/api/start.ts';
import { EtcdServer, until } from '../etcd/etcd-server.ts';
import { dump, etcdctl } from '../etcd/etcdctl.ts';

type Json = Readonly<Record<string, unknown>>;

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly fields: LogFields;
}

export class World {
  readonly etcd: EtcdServer;
  readonly directory: string;
  readonly logged: LogLine[] = [];
  api: KubernetesApi;
  #running: Apiserver | undefined;

  private constructor(etcd: EtcdServer, api: KubernetesApi, directory: string) {
    this.etcd = etcd;
    this.api = api;
    this.directory = directory;
  }

  static async create(): Promise<World> {
    const directory = await mkdtemp(join(tmpdir(), 'tbl-apiserver-'));
    const world = new World(await EtcdServer.start(), await kubernetesApi(0), directory);
    await world.#writeKubeconfig();
    return world;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.api.close();
    await this.etcd.stop();
    await rm(this.directory, { recursive: true });
  }

  get kubeconfig(): string {
    return join(this.directory, 'kubeconfig');
  }

  get flags(): string[] {
    return [
      '--cluster-name=east',
      '--cluster-id=1',
      '--health-port=0',
      `--kubeconfig=${this.kubeconfig}`,
      `--etcd-endpoints=${this.etcd.endpoint}`,
    ];
  }

  async start(...more: readonly string[]): Promise<Apiserver> {
    const config = parseApiserverConfig([...this.flags, ...more], {});
    if (config === 'help' || !config.ok) throw new Error(JSON.stringify(config));
    this.#running = await startApiserver(config.value, this.#logger({}));
    return this.#running;
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
    await this.#running?.done;
    this.#running = undefined;
  }

  async ready(): Promise<void> {
    await until('ready', async () => (await this.http('/readyz')).status === 200);
  }

  async http(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.#running?.healthPort}${path}`);
    return { status: response.status, text: await response.text() };
  }

  /** Stops the Kubernetes API; what it held is lost. */
  async stopKubernetes(): Promise<void> {
    await this.api.close();
  }

  /** Starts an empty one at the same address. */
  async startKubernetes(): Promise<void> {
    this.api = await kubernetesApi(Number(new URL(this.api.url).port));
  }

  async request(method: string, path: string, body?: Json): Promise<Json> {
    const patch = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const response = await fetch(this.api.url + path, {
      method,
      headers: { 'content-type': patch },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Json;
  }

  async namespace(name: string, annotations: Json = {}): Promise<void> {
    await this.request('POST', '/api/v1/namespaces', { metadata: { name, annotations } });
  }

  async service(namespace: string, name: string, annotations: Json, ports: readonly Json[] = HTTP): Promise<void> {
    const body = { metadata: { name, annotations }, spec: { ports } };
    await this.request('POST', `/api/v1/namespaces/${namespace}/services`, body);
  }

  async slice(namespace: string, name: string, service: string, addresses: readonly string[]): Promise<void> {
    await this.request('POST', `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, {
      metadata: { name, labels: { 'kubernetes.io/service-name': service } },
      addressType: 'IPv4',
      endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
      ports: [{ name: 'http', port: 8080 }],
    });
  }

  async node(name: string, address: string, podCIDRs: readonly string[]): Promise<void> {
    await this.request('POST', '/api/v1/nodes', {
      metadata: { name },
      spec: { podCIDR: podCIDRs[0], podCIDRs },
      status: { addresses: [{ type: 'InternalIP', address }] },
    });
  }

  async pod(namespace: string, name: string, address: string, labels: Json): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const spec = { containers: [{ name: 'c', image: 'i' }], nodeName: 'n1' };
    await this.request('POST', path, { metadata: { name, labels }, spec });
    const status = { phase: 'Running', podIP: address, podIPs: [{ ip: address }], hostIP: '192.168.0.1' };
    await this.request('PATCH', `${path}/${name}/status`, { status });
  }

  dump(prefix = 'cilium/'): Promise<Map<string, string>> {
    return dump(this.etcd, prefix);
  }

  etcdctl(...words: readonly string[]): Promise<string> {
    return etcdctl(this.etcd, ...words);
  }

  async #writeKubeconfig(): Promise<void> {
    const server = this.api.url;
    const config = {
      clusters: [{ name: 'c', cluster: { server } }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    };
    await writeFile(this.kubeconfig, JSON.stringify(config));
  }

  #logger(bound: LogFields): Logger {
    const write = (level: string) => (fields: LogFields, msg: string) =>
      void this.logged.push({ level, msg, fields: { ...bound, ...fields } });
    return {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: (fields) => this.#logger({ ...bound, ...fields }),
    };
  }
}

const HTTP = [{ name: 'http', port: 80 }];

const kubernetesApi = (port: number): Promise<KubernetesApi> =>
  startKubernetesApi({ listen: { host: '127.0.0.1', port }, controllers: false });

export const GLOBAL = { 'service.cilium.io/global': 'true' };

/** One namespace, a global and a local Service, a node and two pods. */
export async function populate(world: World): Promise<void> {
  await world.namespace('shop');
  await world.service('shop', 'cart', GLOBAL);
  await world.service('shop', 'till', {});
  await world.slice('shop', 'cart-1', 'cart', ['10.1.0.1', '10.1.0.2']);
  await world.slice('shop', 'till-1', 'till', ['10.1.0.2']);
  await world.node('n1', '192.168.0.1', ['10.1.0.0/24', 'fd00:1::/64', '10.2.0.0/24']);
  await world.pod('shop', 'cart-a', '10.1.0.1', { app: 'cart' });
  await world.pod('shop', 'cart-b', '10.1.0.2', { app: 'cart' });
}

export { until };
