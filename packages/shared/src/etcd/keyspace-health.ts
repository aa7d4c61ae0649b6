/** What a keyspace says of itself. Pure. */
import type { Health } from '../process/health.ts';
import type { FailingKey } from './desired-state.ts';

/** A write that waits longer is no longer a matter of course. */
const TOO_LONG_MS = 5_000;

export function keyspaceHealth(failing: ReadonlyMap<string, FailingKey>, pending: number, ageMs: number): Health {
  for (const [key, { reason }] of failing) {
    const others = failing.size > 1 ? ` (and ${failing.size - 1} other keys)` : '';
    return { kind: 'degraded', reason: `Key "${key}"${others} is not written: ${reason}` };
  }
  if (pending > 0 && ageMs > TOO_LONG_MS) {
    return {
      kind: 'degraded',
      reason: `${pending} writes wait for etcd, the oldest for ${Math.round(ageMs / 1_000)} s`,
    };
  }
  return { kind: 'ok' };
}
