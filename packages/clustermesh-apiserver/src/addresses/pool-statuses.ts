/**
 * Tells people about pools. Statuses are written that do not say what is, and never one that somebody else looks after:
 * who comes back after we wrote over what he had left is left alone from then on. What is wrong about a pool is an Event,
 * once.
 */
import { ApiError, type KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import type { PoolObject, ReadPool } from '@tombolo/shared/kubernetes/pool-object.ts';
import { poolId } from '@tombolo/shared/model/address-pool.ts';
import type { Clock } from '@tombolo/shared/process/clock.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { eventTimes, inSeconds } from './event-times.ts';
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
  /** Why pools give out nothing that should. */
  readonly conflicts: ReadonlyMap<string, string>;
}

/** What Kubernetes takes. */
const MOST_MESSAGE = 1_024;
const WRITE_MS = 5_000;
/** Statuses that are written at a time. */
const AT_ONCE = 4;

export class PoolStatuses {
  readonly #options: PoolStatusesOptions;
  /** Where we wrote over what another had said, by path. */
  readonly #takenOver = new Set<string>();
  /** What was wrong about each pool when it was told last, by path. */
  readonly #told = new Map<string, string>();
  /** Why the last status could not be written, by path: each is said once. */
  readonly #problems = new Map<string, string>();

  constructor(options: PoolStatusesOptions) {
    this.#options = options;
  }

  /** `objects`: by their paths. What failed is tried again when this is called again. */
  async write(objects: ReadonlyMap<string, ReadPool>, facts: PoolFacts, signal: AbortSignal): Promise<void> {
    for (const path of this.#told.keys()) if (!objects.has(path)) this.#told.delete(path);
    const { usage, conflicts } = facts;
    const due = [...objects];
    const worker = async (): Promise<void> => {
      for (let next = due.pop(); next && !signal.aborted; next = due.pop()) {
        const [path, { pool, ...about }] = next;
        const conflict = pool && conflicts.get(poolId(pool));
        const problems = [...about.problems, ...(conflict === undefined ? [] : [`gives out nothing: ${conflict}`])];
        await this.#tell(path, about, problems.join('; '));
        const counts = pool && usage.get(poolId(pool));
        if (counts) await this.#writeOne(path, { ...about, pool }, counts, conflict);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  async #tell(path: string, about: Omit<PoolObject, 'pool'>, problems: string): Promise<void> {
    if (problems === (this.#told.get(path) ?? '')) return;
    this.#told.set(path, problems);
    if (problems === '') return;
    const { client, clock, log } = this.#options;
    const { apiVersion, kind, name, namespace, uid } = about;
    log.warn({ pool: `${kind} ${name}`, problems }, 'There is something wrong about a pool');
    // Those of objects in no namespace are kept there.
    const at = namespace === '' ? 'default' : namespace;
    const event = {
      ...{ apiVersion: 'v1', kind: 'Event', metadata: { generateName: `${name}.`, namespace: at } },
      involvedObject: { apiVersion, kind, name, namespace, uid },
      ...{ type: 'Warning', reason: 'PoolProblem', message: problems.slice(0, MOST_MESSAGE) },
      ...eventTimes(inSeconds(clock.wallTime())),
    };
    const within = AbortSignal.timeout(WRITE_MS);
    await client.send('POST', `/api/v1/namespaces/${at}/events`, event, within).catch((error: unknown) => {
      log.debug({ path, error }, 'Cannot write an Event; the log says the same');
    });
  }

  async #writeOne(path: string, object: PoolObject, usage: PoolUsage, why: string | undefined): Promise<void> {
    const { client, clock, log } = this.#options;
    if (isOthers(object, this.#takenOver.has(path), clock.wallTime())) return;
    const status = poolStatusOf(object, usage, why, inSeconds(clock.wallTime()));
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
      log.warn({ path, error }, 'Cannot write the status of a pool; trying again');
    }
  }
}
