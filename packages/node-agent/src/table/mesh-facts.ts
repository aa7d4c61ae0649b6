/**
 * The mesh's facts on their way into the table, and for those who ask the last status of each cluster, and which ids there
 * are: until the clustermesh directory was read, those that an earlier agent knew.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ClusterView, RemoteService, ServiceKey } from '@tombolo/shared/model/service.ts';
import type { ClusterStatus } from '@tombolo/shared/model/service-table.ts';
import type { Clock } from '@tombolo/shared/process/clock.ts';
import type { MeshListener } from '../mesh/listener.ts';
import { FirstListings } from './first-listings.ts';
import type { ServiceTable } from './service-table.ts';

export class MeshFacts implements MeshListener {
  readonly firstListings: FirstListings;
  readonly #table: ServiceTable;
  readonly #changed: () => void;
  readonly #listeners = new Set<() => void>();
  #statuses: ReadonlyMap<ClusterName, ClusterStatus> = new Map();
  #clusterIds: ReadonlyMap<ClusterName, number>;
  /** Until the clustermesh directory was read nobody knows which clusters there are. */
  #isKnown = false;

  /** `changed` is called after each fact that went into the table. */
  constructor(
    table: ServiceTable,
    changed: () => void,
    remembered: ReadonlyMap<ClusterName, number> = new Map(),
    clock?: Clock,
  ) {
    this.#table = table;
    this.#changed = changed;
    this.#clusterIds = remembered;
    this.firstListings = new FirstListings(changed, clock);
  }

  servicesChanged(cluster: ClusterIdentity, changes: ReadonlyMap<ServiceKey, RemoteService | undefined>): void {
    this.firstListings.told(cluster);
    this.#table.setRemoteServices(cluster, changes);
    this.#changed();
  }

  viewChanged(cluster: ClusterIdentity, view: ClusterView, refused: ReadonlySet<ServiceKey>): void {
    this.firstListings.complete(cluster);
    this.#table.setRemoteView(cluster, view, refused);
    this.#changed();
  }

  clusterRemoved(cluster: ClusterIdentity): void {
    this.firstListings.removed(cluster);
    this.#table.removeRemote(cluster);
    this.#changed();
  }

  statusChanged(statuses: ReadonlyMap<ClusterName, ClusterStatus>): void {
    this.#statuses = statuses;
    this.#isKnown = true;
    const ids = idsOf(statuses);
    if (!isDeepStrictEqual(ids, this.#clusterIds)) this.#clusterIds = ids;
    this.settle();
    for (const listener of [...this.#listeners]) listener();
  }

  /** Withdraws what was adopted from clusters that are none of ours. */
  settle(): void {
    if (!this.#isKnown) return;
    this.#table.settleAdopted(new Map([...this.#statuses].map(([name, { id }]) => [name, id])));
    this.#changed();
  }

  get statuses(): ReadonlyMap<ClusterName, ClusterStatus> {
    return this.#statuses;
  }

  /** By name, where known, also of clusters that are silent; another map when one of them changed. */
  get clusterIds(): ReadonlyMap<ClusterName, number> {
    return this.#clusterIds;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

const idsOf = (statuses: ReadonlyMap<ClusterName, ClusterStatus>): ReadonlyMap<ClusterName, number> =>
  new Map([...statuses].flatMap(([name, { id }]) => (id === undefined ? [] : [[name, id] as const])));
