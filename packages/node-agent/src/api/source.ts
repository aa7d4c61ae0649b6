/** What the API asks of the agent: the service table, the clusters, and how the agent does. All values are immutable. */

import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ClusterStatus, TableReader } from '@tombolo/shared/model/service-table.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { AnnouncedAddress, Announcers } from '../announce/announcements.ts';

export interface ApiSource {
  readonly table: TableReader;
  clusters(): ReadonlyMap<ClusterName, ClusterStatus>;
  /** The listener is called after each change, synchronously and cheaply; the answer takes it off again. */
  onClustersChange(listener: () => void): () => void;
  status(): AgentStatus;
  readonly announcing: AnnouncingSource;
}

/** What is announced, and by whom, as far as this agent knows. */
export interface AnnouncingSource {
  readonly addresses: readonly AnnouncedAddress[];
  readonly announcers: Announcers;
}

export interface AgentStatus {
  readonly cluster: ClusterIdentity;
  /** The Kubernetes Node. */
  readonly node: string;
  readonly version: string;
  /** What load balances in the kernel, and why it was chosen. */
  readonly datapath: { readonly name: string; readonly reason: string };
  /** ms since the epoch; also tells one life of the table from the next. */
  readonly startedAt: number;
  readonly parts: ReadonlyMap<string, Health>;
}
