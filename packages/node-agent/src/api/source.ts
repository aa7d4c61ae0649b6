/** What the API asks of the agent: the service table, the clusters, and how the agent does. All values are immutable. */
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type {
  ClusterStatus,
  ServiceExplanation,
  ServiceFacts,
  TableChanges,
  TableCounts,
  TableSnapshot,
} from '@tombolo/shared/model/service-table.ts';
import type { Health } from '@tombolo/shared/process/health.ts';

export interface ApiSource {
  readonly revision: number;
  readonly counts: TableCounts;
  get(key: ServiceKey): ServiceFacts | undefined;
  /** What is decided about a Service; worked out here, so ask for what is shown. */
  explain(facts: ServiceFacts): ServiceExplanation;
  snapshot(): TableSnapshot;
  /** `compacted` when the table no longer knows what changed since then. */
  changesSince(revision: number): TableChanges | 'compacted';
  /** The listener is called after each change, synchronously and cheaply; the answer takes it off again. */
  onTableChange(listener: () => void): () => void;
  clusters(): ReadonlyMap<ClusterName, ClusterStatus>;
  onClustersChange(listener: () => void): () => void;
  status(): AgentStatus;
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
