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

/** Replicas by name of the ReplicaSet, for those that change. */
export function planRollout(
  deployment: Workload,
  current: Workload,
  old: readonly Workload[],
): ReadonlyMap<string, number> {
  const bounds = boundsOf(deployment);
  const { desired, surge } = bounds;
  const before = replicasOf(current);
  const room = Math.min(desired, desired + surge - sum(old, replicasOf));
  const planned = [
    [current, before > desired ? desired : Math.max(before, room)] as const,
    ...shrinkOld(bounds, current, old),
  ];
  const changed = planned.filter(([set, count]) => replicasOf(set) !== count);
  return new Map(changed.map(([set, count]) => [set.metadata.name, count]));
}

/** First the pods that are not available, of all sets, since they do not count; then as many others as may be missed. */
function shrinkOld({ desired, unavailable }: RolloutBounds, current: Workload, old: readonly Workload[]) {
  const least = desired - unavailable;
  const all = [current, ...old];
  const newUnavailable = Math.max(0, replicasOf(current) - availableOf(current));
  const unready = (set: Workload) => Math.max(0, replicasOf(set) - availableOf(set));
  const pruned = take(old, unready, sum(all, replicasOf) - least - newUnavailable);
  const ready = (set: Workload) => Math.min(replicasOf(set), availableOf(set));
  const missed = take(old, ready, sum(all, availableOf) - least);
  return old.map((set, at) => [set, replicasOf(set) - (pruned[at] ?? 0) - (missed[at] ?? 0)] as const);
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
