/** Metrics, read from the live objects when Prometheus asks. Names as Cilium's where it has them. */
import type { EtcdWriter } from '@tombolo/shared/etcd/write/writer.ts';
import { Counter, Gauge, Registry } from 'prom-client';
import type { Addresses } from './addresses/addresses.ts';
import type { EntryWriter } from './export/entry-writer.ts';
import type { PodExport } from './export/pod-export.ts';
import type { ServiceExport } from './export/service-export.ts';
import { KINDS, type Kind } from './kinds.ts';

const PREFIX = 'tombolo_clustermesh_apiserver_';

export interface MetricsSources {
  /** The cluster's name. */
  readonly cluster: string;
  readonly entries: Readonly<Record<Kind, EntryWriter>>;
  readonly services: ServiceExport;
  readonly pods: PodExport;
  readonly writer: EtcdWriter;
}

export class ApiserverMetrics {
  readonly registry = new Registry();
  readonly #refused: Counter<'kind'>;
  readonly #bootstrap: Gauge;

  constructor({ cluster, entries, services, pods, writer }: MetricsSources) {
    const registers = [this.registry];
    const ofKinds = (
      name: string,
      help: string,
      read: (entries: EntryWriter) => number,
      more: Record<string, string> = {},
    ) =>
      new Gauge({
        name: PREFIX + name,
        help,
        labelNames: ['scope', 'source_cluster', ...Object.keys(more)],
        registers,
        collect() {
          for (const kind of KINDS) {
            this.set({ scope: `${kind}/v1`, source_cluster: cluster, ...more }, read(entries[kind]));
          }
        },
      });
    const single = (name: string, help: string, read: () => number) =>
      new Gauge({
        name: PREFIX + name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    ofKinds('kvstore_sync_queue_size', 'Writes that are not in etcd yet', ({ keyspace }) => keyspace.pending);
    ofKinds('kvstore_sync_failing_keys', 'Keys that etcd does not take', ({ keyspace }) => keyspace.failing.size);
    ofKinds(
      'kvstore_initial_sync_completed',
      'Whether all entries of the kind were written once',
      ({ complete }) => Number(complete),
      { action: 'write' },
    );
    ofKinds('exported_entries', 'Entries that this cluster has to say', ({ source }) => source.size);
    single('truncated_services', 'Services with more backends than an etcd entry holds', () => services.truncated.size);
    single(
      'pods_without_identity',
      'Pods for whose labels no identity number is left',
      () => pods.withoutIdentity.size,
    );
    single('kvstore_leases', 'etcd leases held', () => writer.leases);
    this.#bootstrap = new Gauge({
      name: `${PREFIX}bootstrap_seconds`,
      help: 'Time from the start until all kinds were written',
      registers,
    });
    this.#refused = new Counter({
      name: `${PREFIX}refused_objects_total`,
      help: 'Kubernetes objects that could not be used',
      labelNames: ['kind'],
      registers,
    });
  }

  addresses(addresses: Pick<Addresses, 'usage' | 'waiting'>): void {
    const registers = [this.registry];
    new Gauge({
      name: `${PREFIX}pool_addresses_given`,
      help: 'LoadBalancer addresses in use, by pool; on the replica that gives them out',
      labelNames: ['pool'],
      registers,
      collect() {
        this.reset();
        for (const [pool, { 4: v4, 6: v6 }] of addresses.usage) this.set({ pool }, v4.used + v6.used);
      },
    });
    new Gauge({
      name: `${PREFIX}pool_addresses_available`,
      help: 'LoadBalancer addresses that could still be given, by pool; on the replica that gives them out',
      labelNames: ['pool'],
      registers,
      collect() {
        this.reset();
        for (const [pool, { 4: v4, 6: v6 }] of addresses.usage) this.set({ pool }, Number(v4.available + v6.available));
      },
    });
    new Gauge({
      name: `${PREFIX}services_without_address`,
      help: 'Services of type LoadBalancer that do not have all addresses that they ask for',
      registers,
      collect() {
        this.set(addresses.waiting);
      },
    });
  }

  objectRefused(kind: string): void {
    this.#refused.inc({ kind });
  }

  bootstrapped(seconds: number): void {
    this.#bootstrap.set(seconds);
  }
}
