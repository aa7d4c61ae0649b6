/** What the tests of this room share: a clock that they move, a listener that writes down, and entries of a cluster. */
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ClusterView, RemoteService, ServiceKey } from '@tombolo/shared/model/service.ts';
import type { ClusterStatus } from '@tombolo/shared/model/service-table.ts';
import { FakeClock } from '@tombolo/shared/process/clock.fixture.ts';
import { encodeClusterConfig, type WireClusterConfig } from '@tombolo/shared/wire/cluster-config.ts';
import { clusterConfigKey, entryKey, HEARTBEAT_KEY, type Layout, syncedKey } from '@tombolo/shared/wire/keys.ts';
import { encodeNode } from '@tombolo/shared/wire/node.ts';
import { encodeService } from '@tombolo/shared/wire/service.ts';
import { encodeTimestamp } from '@tombolo/shared/wire/timestamp.ts';
import { wireNode } from '@tombolo/shared/wire/to-wire.ts';
import type { MeshListener } from './listener.ts';

/** Lets everything run that waits for nothing but promises and turns of the event loop. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that lets everything run before and after it moves. */
export class TestClock extends FakeClock {
  override async advance(ms: number): Promise<void> {
    await settle();
    await super.advance(ms);
    await settle();
  }
}

/** Keeps what the table would hold, and writes down what it was told. */
export class Recorder implements MeshListener {
  readonly told: string[] = [];
  readonly services = new Map<string, RemoteService>();
  /** Undefined until told. */
  statuses: ReadonlyMap<ClusterName, ClusterStatus> | undefined;

  /** What was told since the last call. */
  take(): string[] {
    return this.told.splice(0);
  }

  /** `west a/x 10.2.0.1:8080`, sorted. */
  get backends(): readonly string[] {
    return [...this.services]
      .flatMap(([key, { backends }]) =>
        backends.flatMap(({ address, ports }) => ports.map(({ port }) => `${key} ${address}:${port}`)),
      )
      .sort();
  }

  servicesChanged(cluster: ClusterIdentity, changes: ReadonlyMap<ServiceKey, RemoteService | undefined>): void {
    for (const [key, service] of changes) {
      const id = `${cluster.name} ${key}`;
      if (service) this.services.set(id, service);
      else this.services.delete(id);
      this.told.push(`${service ? '+' : '-'} ${id}`);
    }
  }

  viewChanged(cluster: ClusterIdentity, view: ClusterView): void {
    this.told.push(`${cluster.name}/${cluster.id} is ${view.kind}`);
  }

  clusterRemoved(cluster: ClusterIdentity): void {
    for (const id of [...this.services.keys()]) if (id.startsWith(`${cluster.name} `)) this.services.delete(id);
    this.told.push(`${cluster.name}/${cluster.id} is removed`);
  }

  statusChanged(statuses: ReadonlyMap<ClusterName, ClusterStatus>): void {
    this.statuses = statuses;
  }
}

interface Store {
  put(key: string, value: string): unknown;
  delete(key: string): unknown;
}

/** Writes what the apiserver of one cluster writes. */
export class Writer<S extends Store> {
  readonly etcd: S;
  readonly cluster: ClusterIdentity;
  readonly layout: Layout;
  readonly canaries: boolean;
  #beats = 0;

  constructor(etcd: S, name: string, id: number, { layout = 'state' as Layout, canaries = true } = {}) {
    this.etcd = etcd;
    this.cluster = { name: name as ClusterName, id };
    this.layout = layout;
    this.canaries = canaries;
  }

  async config(id = this.cluster.id, fields: Partial<WireClusterConfig> = {}): Promise<void> {
    const config = encodeClusterConfig({
      id,
      syncedCanaries: this.canaries,
      cached: this.layout === 'cache',
      maxConnectedClusters: 255,
      endpointSlicesExportMode: '',
      ...fields,
    });
    await this.etcd.put(clusterConfigKey(this.cluster.name), config);
  }

  async heartbeat(): Promise<void> {
    await this.etcd.put(HEARTBEAT_KEY, encodeTimestamp(1_000 * ++this.#beats));
  }

  async synced(): Promise<void> {
    for (const kind of ['nodes', 'services', 'ip', 'identities'] as const) {
      await this.etcd.put(syncedKey(kind, this.layout, this.cluster.name), encodeTimestamp(0));
    }
  }

  async unsynced(): Promise<void> {
    for (const kind of ['nodes', 'services', 'ip', 'identities'] as const) {
      await this.etcd.delete(syncedKey(kind, this.layout, this.cluster.name));
    }
  }

  serviceKey(key: string): string {
    return entryKey('services', this.layout, this.cluster.name, key);
  }

  async service(key: string, addresses: readonly string[], clusterId = this.cluster.id): Promise<void> {
    const [namespace = '', name = ''] = key.split('/');
    const ports = new Map([['http', { protocol: 'TCP', port: 8080 }]]);
    const value = encodeService({
      cluster: this.cluster.name,
      namespace,
      name,
      frontends: new Map(),
      backends: new Map(addresses.map((address) => [address, ports])),
      hostnames: null,
      zones: null,
      labels: new Map(),
      selector: new Map(),
      includeExternal: true,
      shared: true,
      clusterId,
    });
    await this.etcd.put(this.serviceKey(key), value);
  }

  async withdraw(key: string): Promise<void> {
    await this.etcd.delete(this.serviceKey(key));
  }

  async node(name: string): Promise<void> {
    const node = wireNode(this.cluster, { name, addresses: [], podCidrs: [], labels: {} });
    await this.etcd.put(entryKey('nodes', this.layout, this.cluster.name, name), encodeNode(node));
  }

  /** All that a healthy cluster with these Services has written. */
  async everything(services: Readonly<Record<string, readonly string[]>>): Promise<void> {
    await this.config();
    await this.heartbeat();
    for (const [key, addresses] of Object.entries(services)) await this.service(key, addresses);
    await this.synced();
  }
}
