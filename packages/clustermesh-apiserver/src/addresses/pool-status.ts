/** What is said of a pool in its status, in the words of its product. Pure. */
import type { Json } from '@tombolo/shared/kubernetes/json.ts';
import type { PoolObject } from '@tombolo/shared/kubernetes/pool-object.ts';
import type { PoolUsage } from './pool-usage.ts';

/** By `metadata.managedFields`. */
export const STATUS_WRITER = 'tombolo';

/** The largest number of JavaScript below 2⁶³: MetalLB's fields have no room for more. */
const MOST = 2 ** 63 - 1024;

/**
 * Undefined when the status says so already. `conflict`: why the pool gives out nothing although it is not disabled.
 * `now`: RFC 3339, in seconds.
 */
export function poolStatusOf(
  object: PoolObject,
  usage: PoolUsage,
  conflict: string | undefined,
  now: string,
): Json | undefined {
  const { status, pool } = object;
  if (pool.product === 'metallb') {
    const wanted = metallbCounts(usage);
    return Object.entries(wanted).every(([name, count]) => status[name] === count) ? undefined : wanted;
  }
  const before = Array.isArray(status['conditions']) ? (status['conditions'] as readonly Json[]) : [];
  const wanted = ciliumConditions(usage, conflict);
  const isSaid = (condition: Condition): boolean => {
    const said = before.find(({ type }) => type === condition.type);
    return (
      said?.['observedGeneration'] === object.generation &&
      (['status', 'reason', 'message'] as const).every((field) => said[field] === condition[field])
    );
  };
  if (wanted.every(isSaid)) return undefined;
  const others = before.filter((each) => !wanted.some(({ type }) => type === each['type']));
  const conditions = wanted.map((condition) => {
    const said = before.find(({ type }) => type === condition.type);
    const since = said?.['status'] === condition.status ? said['lastTransitionTime'] : now;
    return { ...condition, observedGeneration: object.generation, lastTransitionTime: since };
  });
  return { conditions: [...others, ...conditions] };
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

function metallbCounts({ 4: v4, 6: v6 }: PoolUsage): Readonly<Record<string, number>> {
  const fitting = (count: bigint): number => Math.min(Number(count), MOST);
  return {
    assignedIPv4: v4.used,
    assignedIPv6: v6.used,
    availableIPv4: fitting(v4.available),
    availableIPv6: fitting(v6.available),
  };
}

/** Of both families together; numbers of any size, as text. */
function ciliumConditions({ 4: v4, 6: v6 }: PoolUsage, conflict: string | undefined): readonly Condition[] {
  const [used, available] = [BigInt(v4.used + v6.used), v4.available + v6.available];
  const count = (name: string, value: bigint): Condition => ({
    type: `cilium.io/${name}`,
    status: 'Unknown',
    reason: 'noreason',
    message: `${value}`,
  });
  const clash =
    conflict === undefined
      ? { status: 'False', reason: 'resolved', message: '' }
      : { status: 'True', reason: 'cidr_overlap', message: conflict };
  return [
    { type: 'cilium.io/PoolConflict', ...clash },
    count('IPsTotal', used + available),
    count('IPsAvailable', available),
    count('IPsUsed', used),
  ];
}

/** So long nothing came of another who writes the status, before what he said may be put right, in ms. */
const QUIET_MS = 300_000;

/**
 * Whether somebody else looks after the status: he was the last who wrote it, and not long ago. `answered`: he has
 * written after we had written over what he said, so he is there.
 */
export function isOthers({ statusWriters }: PoolObject, answered: boolean, now: number): boolean {
  const latest = (ofUs: boolean): string =>
    statusWriters
      .flatMap(({ name, at }) => ((name === STATUS_WRITER) === ofUs ? at : []))
      .sort()
      .at(-1) ?? '';
  const [ours, theirs] = [latest(true), latest(false)];
  if (theirs === '' || theirs < ours) return false;
  return answered || now - Date.parse(theirs) < QUIET_MS;
}
