/** Where this node stands: what decides about every Service alike. */
import type { ClusterIdentity } from '../model/cluster.ts';
import type { OwnRanges } from './eligibility.ts';

/** Which Services a node programs: those it must, beside kube-proxy, or all of them, in its place. */
export type ServiceScope = 'global' | 'all';

export interface MergeContext {
  readonly local: ClusterIdentity;
  readonly node: string;
  /** Empty when unknown. */
  readonly zone: string;
  readonly scope: ServiceScope;
  readonly ownRanges: OwnRanges;
  /** Backends that one other cluster may have behind one frontend. */
  readonly remotePerFrontend: number;
}
