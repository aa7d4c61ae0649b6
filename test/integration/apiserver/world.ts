/** For tests of the clustermesh-apiserver: a real etcd, a cluster on loopback, and the facts in it. */
import { type Apiserver, startApiserver } from '@tombolo/clustermesh-apiserver/compose.ts';
import { parseApiserverConfig } from '@tombolo/clustermesh-apiserver/config.ts';
import type { TestCluster } from '../../cluster.ts';
import { type LogLine, recordingLogger } from '../../recording-logger.ts';
import { EtcdServer, until } from '../etcd/etcd-server.ts';
import { dump, etcdctl } from '../etcd/etcdctl.ts';

type Json = Readonly<Record<string, unknown>>;

export class World {
  readonly etcd: EtcdServer;
  readonly cluster: TestCluster;
  readonly logged: LogLine[] = [];
  #running: Apiserver | undefined;

  private constructor(etcd: EtcdServer, cluster: TestCluster) {
    this.etcd = etcd;
    this.cluster = cluster;
  }

  static async create(cluster: TestCluster): Promise<World> {
    return new World(await EtcdServer.start(), cluster);
  }

  /** The cluster is empty then. */
  async close(): Promise<void> {
    await this.stop();
    await this.etcd.stop();
    await this.cluster.startApi();
    await this.cluster.empty();
  }

  get flags(): string[] {
    return [
      '--cluster-name=east',
      '--cluster-id=1',
      '--health-port=0',
      `--kubeconfig=${this.cluster.kubeconfig}`,
      `--etcd-endpoints=${this.etcd.endpoint}`,
    ];
  }

  async start(...more: readonly string[]): Promise<Apiserver> {
    const config = parseApiserverConfig([...this.flags, ...more], {});
    if (config === 'help' || !config.ok) throw new Error(JSON.stringify(config));
    this.#running = await startApiserver(config.value, recordingLogger(this.logged));
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

  async request(method: string, path: string, body?: Json): Promise<Json> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    return (await this.cluster.api.request(method, path, body, type)) as Json;
  }

  namespace(name: string, annotations: Readonly<Record<string, string>> = {}): Promise<void> {
    return this.cluster.namespace(name, annotations);
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
}

const HTTP = [{ name: 'http', port: 80 }];

export const GLOBAL = { 'service.cilium.io/global': 'true' };

/** One namespace, a global and a local Service, a node and two pods. */
export async function populate(world: World): Promise<void> {
  await world.namespace('shop');
  await world.service('shop', 'cart', GLOBAL);
  await world.service('shop', 'till', {});
  await world.slice('shop', 'cart-1', 'cart', ['10.1.0.1', '10.1.0.2']);
  await world.slice('shop', 'till-1', 'till', ['10.1.0.2']);
  await world.node('n1', '192.168.0.1', ['10.1.0.0/24', 'fd00:1::/64']);
  await world.pod('shop', 'cart-a', '10.1.0.1', { app: 'cart' });
  await world.pod('shop', 'cart-b', '10.1.0.2', { app: 'cart' });
}

export { until };
