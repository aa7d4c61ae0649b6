/**
 * Brings one datapath to what the table says. One loop, one `await` a turn: take up what changed since the last turn,
 * apply it, remember what failed for the next try. The first turn sets the whole table, which also prunes what an earlier
 * agent left; so it must not run before the table is open.
 *
 * Much is applied in pieces, small frontends first: what happens to one of few backends does not wait for thousands.
 *
 * The kernel is everybody's: every few seconds it is asked whether it still has what it was given.
 */
import type { FrontendRoute, RouteChanges, Routes } from '@tombolo/shared/model/routes.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import { type Backoff, backoff } from '@tombolo/shared/process/backoff.ts';
import { type Clock, systemClock } from '@tombolo/shared/process/clock.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { Notifier } from '@tombolo/shared/process/notifier.ts';
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import type { ApplyReport, Datapath } from './datapath.ts';

/** The table, as far as this loop needs it. */
export interface ReconcilerTable {
  readonly revision: number;
  readonly routes: Routes;
  routeChangesSince(revision: number): { readonly revision: number; readonly changed: RouteChanges } | 'compacted';
  onChange(listener: () => void): () => void;
}

export interface ReconcilerOptions {
  readonly table: ReconcilerTable;
  readonly datapath: Datapath;
  readonly log: Logger;
  readonly report: (health: Health) => void;
  /** Called whenever the kernel has all of a table revision, but for frontends that cannot be set. */
  readonly applied?: (revision: number) => void;
  /** Called whenever the kernel does not have what was put there. */
  readonly damaged?: () => void;
  /** Told when other programs of others meet traffic before the datapath than did before. */
  readonly foreign?: (programs: readonly string[]) => void;
  readonly retry?: Backoff;
  readonly clock?: Clock | undefined;
  /** CPU time of this process so far, in ms. */
  readonly cpu?: () => number;
}

const RETRY: Backoff = backoff({ first: 200, limit: 30_000 });
/** Backends in one piece, beyond a single frontend. */
const PIECE = 4_000;
/** Backends of a frontend that goes before larger ones. */
const SMALL = 100;
const FOREVER_MS = 86_400_000;
const NEVER = Number.POSITIVE_INFINITY;
/** Between two looks at what the kernel has, in ms; longer where looking takes much, so that it takes 1 % of a CPU. */
const VERIFY_MS = 2_000;
const SHARE = 100;
const LONGEST_MS = 60_000;
/** Of many frontends that cannot be programmed, so many are logged at a time; status has their number. */
const MOST_LINES = 5;

function processCpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #changed = new Notifier();
  #revision = -1;
  /** What is known to differ, and not applied yet. */
  readonly #pending = new Map<string, FrontendRoute | undefined>();
  /** False after a call that threw: what it should have set is known of again only with the whole table. */
  #isWhole = false;
  #oldestNext = false;
  /** What was logged and still holds: why each frontend cannot be programmed, the kernel takes nothing or tells nothing. */
  readonly #logged = new Map<string, string>();
  #outage = '';
  #blind = '';
  #foreign = '';
  #isNodeChanged = false;
  /** Due at once: the first turn sets the whole table. A failure sets a later date; changes do not wait for it. */
  #repairAt = 0;
  /** Once the whole table is set. */
  #verifyAt = NEVER;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Runs until `signal` aborts; the kernel keeps what it has. */
  async run(signal: AbortSignal): Promise<void> {
    const stopListening = this.#options.table.onChange(() => this.#changed.notify());
    const { retry: firstRetry = RETRY, clock = systemClock } = this.#options;
    let retry = firstRetry;
    while (!signal.aborted) {
      const seen = this.#changed.version;
      if (this.#isNodeChanged) await this.#refresh(clock);
      const repair = this.#repairAt <= clock.now();
      const replace = this.#catchUp() || repair;
      if (!replace && this.#verifyAt <= clock.now()) {
        await this.#verify(clock);
        continue;
      }
      if (!replace && this.#pending.size === 0) {
        const wait = Math.max(0, Math.min(this.#repairAt, this.#verifyAt) - clock.now());
        await this.#changed.changedWithin(seen, Math.min(FOREVER_MS, wait), clock, signal);
        continue;
      }
      const failed = replace ? await this.#replace() : await this.#apply(this.#takePiece());
      if (this.#isWhole && this.#verifyAt === NEVER) this.#verifyAt = clock.now() + VERIFY_MS;
      if (failed && (replace || this.#repairAt === NEVER)) {
        this.#repairAt = clock.now() + retry.delay;
        retry = retry.next();
      } else if (!failed && replace) {
        this.#repairAt = NEVER;
        retry = firstRetry;
      }
    }
    stopListening();
  }

  /** The datapath has to look at what it knows of the node. */
  nodeChanged(): void {
    this.#isNodeChanged = true;
    this.#changed.notify();
  }

  async #refresh(clock: Clock): Promise<void> {
    const { datapath, log } = this.#options;
    this.#isNodeChanged = false;
    try {
      if (await datapath.refresh()) this.#repairAt = clock.now();
    } catch (error) {
      log.warn({ error, datapath: datapath.name }, 'Cannot take up what changed of this node; trying again');
    }
  }

  /** Others may change the kernel, too. */
  async #verify(clock: Clock): Promise<void> {
    const { datapath, log, report, damaged, cpu = processCpu } = this.#options;
    const before = cpu();
    await this.#refresh(clock);
    try {
      const damage = await datapath.verify();
      if (damage !== undefined) {
        log.warn({ damage, datapath: datapath.name }, 'Somebody else changed what was programmed; setting it right');
        report({ kind: 'degraded', reason: `somebody else changed what was programmed: ${damage}` });
        damaged?.();
        this.#repairAt = clock.now();
      }
      this.#tellForeign(datapath.foreign?.() ?? []);
      this.#blind = '';
    } catch (error) {
      const reason = reasonOf(error);
      if (reason !== this.#blind) log.warn({ reason, datapath: datapath.name }, 'Cannot see what is programmed');
      this.#blind = reason;
    }
    // Not the time that it takes, which on a busy machine says nothing.
    this.#verifyAt = clock.now() + Math.min(LONGEST_MS, Math.max(VERIFY_MS, SHARE * (cpu() - before)));
  }

  #tellForeign(programs: readonly string[]): void {
    const { foreign, log } = this.#options;
    if (programs.join() === this.#foreign) return;
    this.#foreign = programs.join();
    if (programs.length > 0)
      log.warn({ programs }, 'Programs of others run before ours: what they translate is theirs');
    foreign?.(programs);
  }

  /** Takes up what changed; true when only the whole table will do. */
  #catchUp(): boolean {
    const { table } = this.#options;
    if (table.revision === this.#revision) return false;
    const changes = table.routeChangesSince(this.#revision);
    if (changes === 'compacted') return true;
    this.#revision = changes.revision;
    for (const [id, route] of changes.changed) this.#pending.set(id, route);
    this.#tellApplied(this.#revision);
    return false;
  }

  #replace(): Promise<boolean> {
    const { table, datapath } = this.#options;
    this.#revision = table.revision;
    this.#pending.clear();
    const desired = new Map(table.routes);
    return this.#take(() => datapath.replace(desired), true);
  }

  #apply(changes: RouteChanges): Promise<boolean> {
    return this.#take(() => this.#options.datapath.apply(changes), false);
  }

  /** Small frontends before large ones. Every other piece goes by age alone, so that large ones have their turn. */
  #takePiece(): RouteChanges {
    const piece = new Map<string, FrontendRoute | undefined>();
    let room = PIECE;
    const take = (most: number): void => {
      for (const [id, route] of this.#pending) {
        const weight = route?.backends.length ?? 0;
        if (weight > most) continue;
        if (weight > room && piece.size > 0) return;
        room -= weight;
        piece.set(id, route);
        this.#pending.delete(id);
      }
    };
    if (!this.#oldestNext) take(SMALL);
    take(Number.POSITIVE_INFINITY);
    this.#oldestNext = !this.#oldestNext && this.#pending.size > 0;
    return piece;
  }

  /** Returns whether something failed. */
  async #take(call: () => Promise<ApplyReport>, repaired: boolean): Promise<boolean> {
    const { datapath, log, report } = this.#options;
    const revision = this.#revision;
    try {
      const result = await call();
      this.#outage = '';
      this.#account(result, repaired);
      this.#isWhole ||= repaired;
      this.#tellApplied(revision);
      return result.failures.length > 0;
    } catch (error) {
      this.#isWhole = false;
      const reason = reasonOf(error);
      const level = reason === this.#outage ? 'debug' : 'error';
      log[level]({ error, datapath: datapath.name }, 'Cannot program the kernel; trying again');
      this.#outage = reason;
      report({ kind: 'degraded', reason: `cannot program the kernel: ${reason}` });
      return true;
    }
  }

  #tellApplied(revision: number): void {
    if (this.#isWhole && this.#pending.size === 0) this.#options.applied?.(revision);
  }

  #account({ failures }: ApplyReport, repaired: boolean): void {
    const { report } = this.#options;
    this.#logFailures(failures, repaired);
    const first = failures[0];
    if (first) {
      const where = `${frontendId(first.frontend)}: ${first.reason}`;
      report({ kind: 'degraded', reason: `${failures.length} frontends not programmed, first ${where}` });
    } else if (repaired) report({ kind: 'ok' });
  }

  /** After the whole table, only what failed then still holds. */
  #logFailures(failures: ApplyReport['failures'], isAll: boolean): void {
    const { log } = this.#options;
    const news = failures.filter(({ frontend, reason }) => this.#logged.get(frontendId(frontend)) !== reason);
    for (const fields of news.slice(0, MOST_LINES)) log.warn({ ...fields }, 'Cannot program a frontend; trying again');
    const more = news.length - MOST_LINES;
    if (more > 0) log.warn({ more }, 'Cannot program more frontends; trying again');
    if (isAll) this.#logged.clear();
    for (const { frontend, reason } of failures) this.#logged.set(frontendId(frontend), reason);
  }
}
