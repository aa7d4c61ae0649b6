/** How a Deployment divides its replicas between the new ReplicaSet and the old ones, one step at a time. Pure. */
import type { Workload } from '../api/kinds/typed.ts';

export interface RolloutBounds {
  readonly desired: number;
  /** More pods than desired, for a while. */
  readonly surge: number;
  /** Fewer available pods than desired, for a while. */
  readonly unavailable: number;
}

export function boundsOf({ spec }: Workload): RolloutBounds {
  const desired = spec.replicas ?? 0;
  const { maxSurge = '25%', maxUnavailable = '25%' } = spec.strategy?.rollingUpdate ?? {};
  const surge = countOf(maxSurge, desired, Math.ceil);
  const unavailable = Math.min(desired, countOf(maxUnavailable, desired, Math.floor));
  return { desired, surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

function countOf(value: number | string, desired: number, round: (n: number) => number): number {
  return typeof value === 'number' ? value : round((Number.parseFloat(value) * desired) / 100);
}

/**
 * Replicas by name of the ReplicaSet: as many new pods as there is room for, and of the old ones only those that new ones
 * cannot do without yet, from sets that work first.
 */
export function planRollout(
  deployment: Workload,
  current: Workload,
  old: readonly Workload[],
): ReadonlyMap<string, number> {
  const { desired, surge, unavailable } = boundsOf(deployment);
  const room = desired + surge - old.reduce((sum, set) => sum + replicasOf(set), 0);
  const next = Math.min(desired, Math.max(replicasOf(current), room));
  const plan = new Map([[current.metadata.name, next]]);
  let needed = Math.max(0, desired - unavailable - Math.min(next, availableOf(current)));
  for (const set of old.toSorted((a, b) => availableOf(b) - availableOf(a))) {
    const kept = Math.min(replicasOf(set), needed);
    plan.set(set.metadata.name, kept);
    needed -= kept;
  }
  return plan;
}

const replicasOf = ({ spec }: Workload): number => spec.replicas ?? 0;
const availableOf = ({ status }: Workload): number => status.availableReplicas ?? 0;
