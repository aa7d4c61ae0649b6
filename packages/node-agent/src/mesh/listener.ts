/** What the mesh room tells the service table. Called synchronously, in order; all facts are absolute. */
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ClusterView, RemoteService, ServiceKey } from '@tombolo/shared/model/service.ts';
import type { ClusterStatus } from '@tombolo/shared/model/service-table.ts';

export interface MeshListener {
  /** Services of one cluster as it now says them; `undefined` where it withdrew one. */
  servicesChanged(cluster: ClusterIdentity, changes: ReadonlyMap<ServiceKey, RemoteService | undefined>): void;
  /**
   * `synced` only after the first complete listing behind its canary; `stale` when it falls silent, when its canary is
   * gone or its sessions fail for a while; back to `synced` when it speaks again and its new listing is complete. `refused` are the Services whose entries are there and cannot
   * be used: of these, what an earlier agent knew stays in force.
   */
  viewChanged(cluster: ClusterIdentity, view: ClusterView, refused: ReadonlySet<ServiceKey>): void;
  /**
   * Its file was taken out of the clustermesh directory, or another id of it was accepted: all it said is withdrawn, also
   * to an agent before this one.
   */
  clusterRemoved(cluster: ClusterIdentity): void;
  /**
   * The names of all clusters that the directory lists, and what is known of each; for status and explanations. Their ids
   * are those to remember over restarts. Changes of counts alone are told a few times a second at the most.
   */
  statusChanged(statuses: ReadonlyMap<ClusterName, ClusterStatus>): void;
}
