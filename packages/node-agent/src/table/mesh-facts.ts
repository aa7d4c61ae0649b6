/** The mesh's facts on their way into the table, and the last status of each cluster for those who ask. */
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ClusterView, RemoteService, ServiceKey } from '@tombolo/shared/model/service.ts';
import type { ClusterStatus } from '@tombolo/shared/model/service-table.ts';
import type { MeshListener } from '../mesh/listener.ts';
import type { ServiceTable } from './service-table.ts';

export class MeshFacts implements MeshListener {
  readonly #table: ServiceTable;
  readonly #changed: () => void;
  readonly #listeners = new Set<() => void>();
  #statuses: ReadonlyMap<ClusterName, ClusterStatus> = new Map();
  /** Undefined until the clustermesh directory was read: until then nobody knows which clusters there are. */
  #ids: ReadonlySet<number> | undefined;

  /** `changed` is called after each fact that went into the table. */
  constructor(table: ServiceTable, changed: () => void) {
    this.#table = table;
    this.#changed = changed;
  }

  servicesChanged(cluster: ClusterIdentity, changes: ReadonlyMap<ServiceKey, RemoteService | undefined>): void {
    this.#table.setRemoteServices(cluster, changes);
    this.#changed();
  }

  viewChanged(cluster: ClusterIdentity, view: ClusterView, refused: ReadonlySet<ServiceKey>): void {
    this.#table.setRemoteView(cluster, view, refused);
    this.#changed();
  }

  clusterRemoved(cluster: ClusterIdentity): void {
    this.#table.removeRemote(cluster);
    this.#changed();
  }

  statusChanged(statuses: ReadonlyMap<ClusterName, ClusterStatus>): void {
    this.#statuses = statuses;
    const ids = [...statuses.values()].map(({ id }) => id);
    this.#ids = ids.every((id) => id !== undefined) ? new Set(ids) : undefined;
    this.settle();
    for (const listener of [...this.#listeners]) listener();
  }

  /** Withdraws what was adopted from clusters that are none of ours, once the ids of all of ours are known. */
  settle(): void {
    if (!this.#ids) return;
    this.#table.settleAdopted(this.#ids);
    this.#changed();
  }

  get statuses(): ReadonlyMap<ClusterName, ClusterStatus> {
    return this.#statuses;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
