/**
 * Writes the statuses of pools: those that do not say what is, and never one that somebody else looks after. Who comes
 * back after we wrote over what he had left is left alone from then on.
 */
import { ApiError, type KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import type { PoolObject } from '@tombolo/shared/kubernetes/pool-object.ts';
import { type AddressPool, poolId } from '@tombolo/shared/model/address-pool.ts';
import type { Clock } from '@tombolo/shared/process/clock.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { isOthers, poolStatusOf, STATUS_WRITER } from './pool-status.ts';
import type { PoolUsage } from './pool-usage.ts';

export interface PoolStatusesOptions {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What is to be said; both by `poolId`. */
export interface PoolFacts {
  readonly usage: ReadonlyMap<string, PoolUsage>;
  /** The pool that each overlaps which gives nothing. */
  readonly conflicts: ReadonlyMap<string, AddressPool>;
}

const WRITE_MS = 5_000;
/** Statuses that are written at a time. */
const AT_ONCE = 4;

export class PoolStatuses {
  readonly #options: PoolStatusesOptions;
  /** Where we wrote over what another had said, by path. */
  readonly #takenOver = new Set<string>();
  /** What went wrong last, by path: each is said once. */
  readonly #problems = new Map<string, string>();

  constructor(options: PoolStatusesOptions) {
    this.#options = options;
  }

  /** `objects`: by their paths. What failed is tried again when this is called again. */
  async write(objects: ReadonlyMap<string, PoolObject>, facts: PoolFacts, signal: AbortSignal): Promise<void> {
    const due = [...objects];
    const worker = async (): Promise<void> => {
      for (let next = due.pop(); next && !signal.aborted; next = due.pop()) await this.#writeOne(next, facts);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  async #writeOne([path, object]: readonly [string, PoolObject], { usage, conflicts }: PoolFacts): Promise<void> {
    const { client, clock, log } = this.#options;
    const id = poolId(object.pool);
    const [use, older] = [usage.get(id), conflicts.get(id)];
    const now = clock.wallTime();
    if (!use || isOthers(object, this.#takenOver.has(path), now)) return;
    const conflict = older && `gives out nothing: it overlaps pool ${older.name}, which is older`;
    const at = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
    const status = poolStatusOf(object, use, conflict, at);
    if (!status) return;
    if (object.statusWriters.some(({ name }) => name !== STATUS_WRITER)) this.#takenOver.add(path);
    const { uid, resourceVersion } = object;
    const to = `${path}/status?fieldManager=${STATUS_WRITER}`;
    try {
      await client.send('PATCH', to, { metadata: { uid, resourceVersion }, status }, AbortSignal.timeout(WRITE_MS));
      this.#problems.delete(path);
    } catch (error) {
      // It is another one by now: that will be heard.
      if (error instanceof ApiError && (error.status === 409 || error.status === 404)) return;
      const problem = error instanceof Error ? error.message : `${error}`;
      if (this.#problems.get(path) === problem) return;
      this.#problems.set(path, problem);
      log.warn({ pool: id, error }, 'Cannot write the status of a pool; trying again');
    }
  }
}
