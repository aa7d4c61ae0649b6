/** Another cluster: its etcd, and what its exporter writes there, as released Cilium reads it. */
import { FakeEtcd } from '@tombolo/node-agent/mesh/fake-etcd.fixture.ts';
import { Writer } from '@tombolo/node-agent/mesh/mesh.fixture.ts';
import { sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type { WireClusterConfig } from '@tombolo/shared/wire/cluster-config.ts';
import { encodeService } from '@tombolo/shared/wire/service.ts';
import { wireService } from '@tombolo/shared/wire/to-wire.ts';
import { addresses, parseEndpoints, parsePorts } from './arguments.ts';

export type ExportMode = WireClusterConfig['endpointSlicesExportMode'];

export function parseExportMode(text: string): ExportMode {
  if (text === '' || text === 'endpointslices-only' || text === 'services-and-endpointslices') return text;
  throw new Error(`No such export mode: ${text}`);
}

export class RemoteCluster {
  readonly etcd: FakeEtcd;
  readonly #writer: Writer<FakeEtcd>;
  #id = 0;
  #isAlive = true;
  #restore = (): void => {};

  constructor(name: string) {
    this.etcd = new FakeEtcd(name);
    this.#writer = new Writer(this.etcd, name, 0);
  }

  async announce(id: number, endpointSlicesExportMode: ExportMode): Promise<void> {
    this.#id = id;
    await this.#writer.config(id, { endpointSlicesExportMode });
    await this.beat();
  }

  async beat(): Promise<void> {
    if (this.#isAlive) await this.#writer.heartbeat();
  }

  /** Nothing answers any more; what is written meanwhile is heard afterwards. */
  down(): void {
    this.#isAlive = false;
    this.etcd.down();
  }

  async up(): Promise<void> {
    this.#isAlive = true;
    this.etcd.up();
    await this.beat();
  }

  snapshot(): void {
    this.#restore = this.etcd.snapshot();
  }

  /** Its etcd is what it was at the snapshot. */
  restore(): void {
    this.#restore();
  }

  /** `at` is where the Service is reached there. */
  export(key: string, words: readonly string[], options: ReadonlyMap<string, string>): void {
    const ports = parsePorts(options.get('ports'));
    const service = sampleService(key as ServiceKey, {
      clusterIps: options.has('at') ? addresses('10.97.0.1') : [],
      ports: parsePorts(options.get('at')).map((port) => ({ ...port, nodePort: 0 })),
    });
    const endpoints = words.flatMap((word) => parseEndpoints(word, ports, [], options.get('zone')));
    const entry = wireService({ name: this.#writer.cluster.name, id: this.#id }, service, endpoints);
    this.etcd.put(this.#writer.serviceKey(key), encodeService({ ...entry, shared: options.get('shared') !== 'false' }));
  }

  async withdraw(key: string): Promise<void> {
    await this.#writer.withdraw(key);
  }

  async synced(): Promise<void> {
    await this.#writer.synced();
  }

  /** Entries and canaries are gone, the exporter's heartbeat goes on. */
  async lose(keys: readonly string[]): Promise<void> {
    await this.#writer.unsynced();
    for (const key of keys) await this.#writer.withdraw(key);
  }
}
