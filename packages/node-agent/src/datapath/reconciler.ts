/**
 * Brings one datapath to what the table says. One loop, one `await` a turn: read what changed since the last turn, apply
 * it, remember what failed for the next try. The first turn sets the whole table, which also prunes what an earlier
 * agent left; so it must not run before the table is open.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { routesOf } from '@tombolo/shared/merge/routes.ts';
import type { RouteChanges } from '@tombolo/shared/model/routes.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import {
  frontendId,
  type ServiceEntry,
  type TableChanges,
  type TableSnapshot,
} from '@tombolo/shared/model/service-table.ts';
import { type Backoff, backoff } from '@tombolo/shared/process/backoff.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { FrontendClaims } from '../table/frontend-claims.ts';
import type { ApplyReport, Datapath } from './datapath.ts';

/** The table, as far as this loop needs it. */
export interface ReconcilerTable {
  snapshot(): TableSnapshot;
  changesSince(revision: number): TableChanges | 'compacted';
  onChange(listener: () => void): () => void;
}

export interface ReconcilerOptions {
  readonly table: ReconcilerTable;
  readonly datapath: Datapath;
  readonly log: Logger;
  readonly report: (health: Health) => void;
  /** Called after each turn with the table revision that is now in the kernel. */
  readonly applied?: (revision: number) => void;
  readonly retry?: Backoff;
}

/** The longest that a timer takes, in ms. */
const FOREVER = 2 ** 31 - 1;
const RETRY: Backoff = backoff({ first: 200, limit: 30_000 });

type Turn = { readonly kind: 'replace' } | { readonly kind: 'apply'; readonly changes: RouteChanges };

export class Reconciler {
  readonly #options: ReconcilerOptions;
  #claims = new FrontendClaims();
  #revision = -1;
  /** Due at once: the first turn sets the whole table. A failure sets a later date; changes do not wait for it. */
  #repairAt: number | undefined = 0;
  #wake: (() => void) | undefined;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Runs until `signal` aborts; the kernel keeps what it has. */
  async run(signal: AbortSignal): Promise<void> {
    const stopListening = this.#options.table.onChange(() => this.#wake?.());
    const firstRetry = this.#options.retry ?? RETRY;
    let retry = firstRetry;
    while (!signal.aborted) {
      const turn = this.#next(this.#repairAt !== undefined && this.#repairAt <= performance.now());
      if (!turn) {
        await this.#pause(signal);
        continue;
      }
      const failed = await this.#take(turn);
      if (failed && (turn.kind === 'replace' || this.#repairAt === undefined)) {
        this.#repairAt = performance.now() + retry.delay;
        retry = retry.next();
      } else if (!failed && turn.kind === 'replace') {
        this.#repairAt = undefined;
        retry = firstRetry;
      }
    }
    stopListening();
  }

  /** What to do now, or undefined while kernel and table agree. */
  #next(repair: boolean): Turn | undefined {
    const changes = this.#options.table.changesSince(this.#revision);
    if (repair || changes === 'compacted') {
      const { revision, entries } = this.#options.table.snapshot();
      this.#claims = new FrontendClaims();
      this.#claims.resolve(this.#routes(entries));
      this.#revision = revision;
      return { kind: 'replace' };
    }
    if (changes.revision === this.#revision) return undefined;
    this.#revision = changes.revision;
    return { kind: 'apply', changes: this.#claims.resolve(this.#routes(changes.changed)) };
  }

  #routes(entries: ReadonlyMap<ServiceKey, ServiceEntry | undefined>): RouteChanges {
    return new Map([...entries].map(([key, entry]) => [key, entry && routesOf(entry)]));
  }

  /** Returns whether something failed. */
  async #take(turn: Turn): Promise<boolean> {
    const { datapath, log, report, applied } = this.#options;
    const revision = this.#revision;
    try {
      const result =
        turn.kind === 'replace' ? await datapath.replace(this.#claims.all()) : await datapath.apply(turn.changes);
      this.#account(result, turn.kind === 'replace');
      applied?.(revision);
      return result.failures.length > 0;
    } catch (error) {
      log.error({ error, datapath: datapath.name }, 'Cannot program the kernel; trying again');
      report({
        kind: 'degraded',
        reason: `cannot program the kernel: ${error instanceof Error ? error.message : error}`,
      });
      return true;
    }
  }

  #account({ failures }: ApplyReport, repaired: boolean): void {
    const { log, report } = this.#options;
    const conflicts = this.#claims.conflicts();
    for (const { frontend, reason } of failures)
      log.warn({ frontend, reason }, 'Cannot program a frontend; trying again');
    const first = failures[0];
    if (first) {
      const where = `${frontendId(first.frontend)}: ${first.reason}`;
      report({ kind: 'degraded', reason: `${failures.length} frontends not programmed, first ${where}` });
    } else if (conflicts[0]) {
      const { frontend, winner, loser } = conflicts[0];
      report({ kind: 'degraded', reason: `${frontend} is claimed by ${winner} and ${loser}: ${winner} has it` });
    } else if (this.#repairAt === undefined || repaired) report({ kind: 'ok' });
  }

  /** Until the table changes, the repair is due, or the end. */
  async #pause(signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    const stop = (): void => woken.abort();
    signal.addEventListener('abort', stop, { once: true });
    const wait = this.#repairAt === undefined ? FOREVER : Math.max(0, this.#repairAt - performance.now());
    await sleep(wait, undefined, { signal: woken.signal }).catch(() => {});
    signal.removeEventListener('abort', stop);
    this.#wake = undefined;
  }
}
