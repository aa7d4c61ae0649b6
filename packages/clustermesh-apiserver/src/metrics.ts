/** Metrics, read from the live objects when Prometheus asks. Names as Cilium's where it has them. */
import type { Keyspace } from '@tombolo/shared/etcd/keyspace/keyspace.ts';
import { Counter, Gauge, type Registry } from 'prom-client';

const PREFIX = 'tombolo_clustermesh_apiserver_';

/** One kind of entries. */
export interface ScopeView {
  /** `services/v1`. */
  readonly scope: string;
  readonly keyspace: Pick<Keyspace, 'pending' | 'failing'>;
  readonly entries: number;
  readonly complete: boolean;
}

export interface MetricsView {
  readonly cluster: string;
  scopes(): Iterable<ScopeView>;
  truncatedServices(): number;
  podsWithoutIdentity(): number;
  leases(): number;
}

export class ApiserverMetrics {
  readonly registry: Registry;
  readonly #refused: Counter<'kind'>;
  readonly #bootstrap: Gauge;

  constructor(registry: Registry, view: MetricsView) {
    this.registry = registry;
    const registers = [registry];
    const ofScopes = (
      name: string,
      help: string,
      read: (scope: ScopeView) => number,
      more: Record<string, string> = {},
    ) =>
      new Gauge({
        name: PREFIX + name,
        help,
        labelNames: ['scope', 'source_cluster', ...Object.keys(more)],
        registers,
        collect() {
          for (const scope of view.scopes()) {
            this.set({ scope: scope.scope, source_cluster: view.cluster, ...more }, read(scope));
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
    ofScopes('kvstore_sync_queue_size', 'Writes that are not in etcd yet', ({ keyspace }) => keyspace.pending);
    ofScopes('kvstore_sync_failing_keys', 'Keys that etcd does not take', ({ keyspace }) => keyspace.failing.size);
    ofScopes(
      'kvstore_initial_sync_completed',
      'Whether all entries of the kind were written once',
      ({ complete }) => (complete ? 1 : 0),
      { action: 'write' },
    );
    ofScopes('exported_entries', 'Entries that this cluster has to say', ({ entries }) => entries);
    single('truncated_services', 'Services with more backends than an etcd entry holds', view.truncatedServices);
    single('pods_without_identity', 'Pods for whose labels no identity number is left', view.podsWithoutIdentity);
    single('kvstore_leases', 'etcd leases held', view.leases);
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

  objectRefused(kind: string): void {
    this.#refused.inc({ kind });
  }

  bootstrapped(seconds: number): void {
    this.#bootstrap.set(seconds);
  }
}
