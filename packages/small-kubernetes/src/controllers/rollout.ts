/** How a Deployment divides its replicas between the new ReplicaSet and the old ones, one step at a time. Pure. */
import type { Workload } from '../api/kinds/typed.ts';

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

/** First the pods that are not available, of all sets, since they do not count; then as many others as may be missed. */
function scaleDownOld(
  { desired, unavailable }: RolloutBounds,
  current: Workload,
  old: readonly Workload[],
): Map<string, number> {
  const least = desired - unavailable;
  const newUnavailable = Math.max(0, replicasOf(current) - availableOf(current));
  const unavailableBudget = sum([current, ...old], replicasOf) - least - newUnavailable;
  const pruned = take(old, (set) => Math.max(0, replicasOf(set) - availableOf(set)), unavailableBudget);
  const availableBudget = sum([current, ...old], availableOf) - least;
  const missed = take(old, (set) => Math.min(replicasOf(set), availableOf(set)), availableBudget);
  const left = old.map(
    (set, at) => [set.metadata.name, replicasOf(set) - (pruned[at] ?? 0) - (missed[at] ?? 0)] as const,
  );
  return new Map(left.filter(([, count], at) => count !== replicasOf(old[at] ?? current)));
}

/** How many each set gives, in order, until the budget is spent. */
function take(sets: readonly Workload[], has: (set: Workload) => number, budget: number): number[] {
  let rest = Math.max(0, budget);
  return sets.map((set) => {
    const taken = Math.min(has(set), rest);
    rest -= taken;
    return taken;
  });
}

const replicasOf = ({ spec }: Workload): number => spec.replicas ?? 0;
const availableOf = ({ status }: Workload): number => status.availableReplicas ?? 0;
const sum = (sets: readonly Workload[], count: (set: Workload) => number): number =>
  sets.reduce((total, set) => total + count(set), 0);
