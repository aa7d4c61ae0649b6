/** How a Deployment divides its replicas between the new ReplicaSet and the old ones, one step at a time. Pure. */
import type { Workload } from '../kubernetes-api/kinds/typed.ts';

export interface RolloutBounds {
  readonly desired: number;
  /** More pods than desired, for a while. */
  readonly surge: number;
  /** Fewer available pods than desired, for a while. */
  readonly unavailable: number;
}

export interface Rollout {
  /** Replicas by name of the ReplicaSet, for those that change. */
  readonly replicas: ReadonlyMap<string, number>;
}

export function boundsOf({ spec }: Workload): RolloutBounds {
  const desired = spec.replicas ?? 0;
  const { maxSurge = '25%', maxUnavailable = '25%' } = spec.strategy?.rollingUpdate ?? {};
  const surge = countOf(maxSurge, desired, Math.ceil);
  const unavailable = Math.min(desired, countOf(maxUnavailable, desired, Math.floor));
  return { desired, surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

function countOf(value: number | string, desired: number, round: (n: number) => number): number {
  if (typeof value === 'number') return value;
  return value.endsWith('%') ? round((Number.parseFloat(value) * desired) / 100) : Number.parseInt(value, 10) || 0;
}

/** `oldPodsLeft` counts pods in termination too: Recreate waits for them. */
export function planRollout(
  deployment: Workload,
  current: Workload,
  old: readonly Workload[],
  oldPodsLeft: number,
): Rollout {
  const bounds = boundsOf(deployment);
  if (deployment.spec.strategy?.type === 'Recreate') return recreate(bounds, current, old, oldPodsLeft);
  const replicas = new Map<string, number>();
  const before = replicasOf(current);
  const total = sum([current, ...old], replicasOf);
  const grown = Math.max(before, Math.min(bounds.desired, before + bounds.desired + bounds.surge - total));
  const next = before > bounds.desired ? bounds.desired : grown;
  if (next !== before) replicas.set(current.metadata.name, next);
  for (const [name, count] of scaleDownOld(bounds, current, old)) replicas.set(name, count);
  return { replicas };
}

function recreate(
  { desired }: RolloutBounds,
  current: Workload,
  old: readonly Workload[],
  oldPodsLeft: number,
): Rollout {
  const replicas = new Map(old.filter((set) => replicasOf(set) > 0).map((set) => [set.metadata.name, 0]));
  if (replicas.size === 0 && oldPodsLeft === 0 && replicasOf(current) !== desired)
    replicas.set(current.metadata.name, desired);
  return { replicas };
}

/** Pods that are not available go first, since they do not count; then as many as the bound allows. */
function scaleDownOld(
  { desired, unavailable }: RolloutBounds,
  current: Workload,
  old: readonly Workload[],
): Map<string, number> {
  const least = desired - unavailable;
  const counts = new Map(old.map((set) => [set.metadata.name, replicasOf(set)]));
  const newUnavailable = Math.max(0, replicasOf(current) - availableOf(current));
  let unhealthyBudget = sum([current, ...old], replicasOf) - least - newUnavailable;
  let availableBudget = sum([current, ...old], availableOf) - least;
  for (const set of old) {
    const have = replicasOf(set);
    const healthy = Math.min(have, availableOf(set));
    const unhealthyGone = Math.max(0, Math.min(have - healthy, unhealthyBudget));
    unhealthyBudget -= unhealthyGone;
    const healthyGone = Math.max(0, Math.min(healthy, availableBudget, unhealthyBudget));
    availableBudget -= healthyGone;
    unhealthyBudget -= healthyGone;
    counts.set(set.metadata.name, have - unhealthyGone - healthyGone);
  }
  return new Map(
    [...counts].filter(([name, count]) => old.some((s) => s.metadata.name === name && replicasOf(s) !== count)),
  );
}

const replicasOf = ({ spec }: Workload): number => spec.replicas ?? 0;
const availableOf = ({ status }: Workload): number => status.availableReplicas ?? 0;
const sum = (sets: readonly Workload[], count: (set: Workload) => number): number =>
  sets.reduce((total, set) => total + count(set), 0);
