/**
 * Closes the connections of this node's sockets to backends that are gone for good, so that clients connect anew at once
 * instead of waiting for a peer that nobody is any more.
 *
 * C1. A backend that nobody offers any more may be draining: its connections are closed only once its own cluster says that
 *     there is no such pod. Who cannot be asked says nothing.
 * C2. Only connections that our socket hooks made; those straight to the pod are not ours.
 * C3. Nothing is looked at while no backend goes; looking takes 5 % of a CPU at the most.
 */
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts, TableReader } from '@tombolo/shared/model/service-table.ts';
import { type Clock, systemClock } from '@tombolo/shared/process/clock.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { Notifier } from '@tombolo/shared/process/notifier.ts';
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import { inSlices } from '@tombolo/shared/process/slices.ts';
import type { Connections, OpenConnection } from '../datapath/sockets/connections.ts';
import { placeId } from '../datapath/sockets/inet-diag.ts';
import { placesIn, type Withdrawn, withdrawnFrom } from './withdrawals.ts';

/** Whether a backend that is not offered any more is still there; undefined when nobody can say so now. */
export type AskOwner = (withdrawn: Withdrawn, signal: AbortSignal) => Promise<boolean | undefined>;

export interface ClosingOptions {
  readonly table: Pick<TableReader, 'snapshot' | 'changesSince' | 'onChange'>;
  /** The table revision that the socket hooks have. */
  readonly applied: () => number;
  readonly connections: Pick<Connections, 'survey' | 'close' | 'trouble'>;
  readonly isThere: AskOwner;
  readonly log: Logger;
  readonly report: (health: Health) => void;
  readonly clock?: Clock;
  /** CPU time of this process so far, in ms. */
  readonly cpu?: () => number;
}

interface Pending {
  readonly withdrawn: Withdrawn;
  /** From which on the hooks lead nobody there. */
  readonly revision: number;
  readonly dueAt: number;
  readonly delay: number;
}

/** What goes within this time is looked for together. */
const TOGETHER_MS = 50;
/** Between two questions whether a draining backend is gone. */
const [FIRST_MS, LONGEST_MS] = [250, 30_000];
/** Backends that are watched at a time; what more goes keeps its connections. */
const MOST_PENDING = 10_000;
/** Nothing is looked at for so many times what looking took of a CPU. */
const PAUSE = 20;
const LONGEST_PAUSE_MS = 10_000;
const ASKED_AT_ONCE = 16;
const FOREVER_MS = 86_400_000;

function processCpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

export class Closing {
  readonly #options: ClosingOptions;
  readonly #clock: Clock;
  readonly #changed = new Notifier();
  readonly #pending = new Map<string, Pending>();
  #known = new Map<ServiceKey, ServiceFacts>();
  #revision = -1;
  #notBefore = 0;
  #closed = 0;
  #trouble = '';
  /** Why nobody could say of a backend whether it is there; empty when all could. */
  #unanswered = '';

  constructor(options: ClosingOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Connections closed so far. */
  get closed(): number {
    return this.#closed;
  }

  /** The hooks have another revision of the table. */
  applied(): void {
    if (this.#pending.size > 0) this.#changed.notify();
  }

  async run(signal: AbortSignal): Promise<void> {
    const stopListening = this.#options.table.onChange(() => this.#changed.notify());
    this.#options.report({ kind: 'ok' });
    while (!signal.aborted) {
      const seen = this.#changed.version;
      await this.#takeUp();
      const due = this.#due();
      if (due.length > 0) await this.#look(due, signal);
      else await this.#changed.changedWithin(seen, this.#wait(), this.#clock, signal);
    }
    stopListening();
  }

  async #takeUp(): Promise<void> {
    const { table } = this.#options;
    const changes = table.changesSince(this.#revision);
    if (changes === 'compacted') {
      const { revision, services } = table.snapshot();
      const gone = [...this.#known.keys()].filter((key) => !services.has(key));
      await inSlices([...services, ...gone.map((key) => [key, undefined] as const)], ([key, facts]) =>
        this.#note(key, facts, revision),
      );
      this.#revision = revision;
      return;
    }
    await inSlices(changes.changed, ([key, facts]) => this.#note(key, facts, changes.revision));
    this.#revision = changes.revision;
  }

  #note(key: ServiceKey, facts: ServiceFacts | undefined, revision: number): void {
    const before = this.#known.get(key);
    if (facts) this.#known.set(key, facts);
    else this.#known.delete(key);
    if (facts && this.#pending.size > 0) for (const id of placesIn(facts)) this.#pending.delete(id);
    if (!before || before === facts) return;
    for (const withdrawn of withdrawnFrom(before, facts)) {
      const id = placeId(withdrawn);
      if (this.#pending.size >= MOST_PENDING && !this.#pending.has(id)) return;
      this.#pending.set(id, { withdrawn, revision, dueAt: this.#clock.now() + TOGETHER_MS, delay: FIRST_MS });
    }
  }

  #due(): readonly Pending[] {
    const now = this.#clock.now();
    if (now < this.#notBefore) return [];
    const applied = this.#options.applied();
    return [...this.#pending.values()].filter(({ dueAt, revision }) => dueAt <= now && revision <= applied);
  }

  #wait(): number {
    const applied = this.#options.applied();
    const times = [...this.#pending.values()].filter(({ revision }) => revision <= applied).map(({ dueAt }) => dueAt);
    const next = times.reduce((least, time) => Math.min(least, time), Number.POSITIVE_INFINITY);
    return Math.min(FOREVER_MS, Math.max(1, Math.max(next, this.#notBefore) - this.#clock.now()));
  }

  async #look(due: readonly Pending[], signal: AbortSignal): Promise<void> {
    const { connections, log, cpu = processCpu } = this.#options;
    const before = cpu();
    try {
      const { found, isPartial } = await connections.survey(due.map(({ withdrawn }) => withdrawn));
      this.#notBefore = this.#clock.now() + Math.min(LONGEST_PAUSE_MS, PAUSE * (cpu() - before));
      this.#unanswered = '';
      const open = due.filter((pending) => {
        const isOpen = found.has(placeId(pending.withdrawn));
        if (!isOpen && !isPartial) this.#settle(pending);
        return isOpen;
      });
      for (let at = 0; at < open.length && !signal.aborted; at += ASKED_AT_ONCE)
        await this.#decide(open.slice(at, at + ASKED_AT_ONCE), found, signal);
      this.#tellTrouble(connections.trouble || this.#unanswered);
      for (const pending of due) this.#later(pending);
    } catch (error) {
      for (const pending of due) this.#later(pending);
      this.#tellTrouble(reasonOf(error));
      log.debug({ error }, 'Cannot close connections to backends that are gone');
    }
  }

  async #decide(
    some: readonly Pending[],
    found: ReadonlyMap<string, readonly OpenConnection[]>,
    signal: AbortSignal,
  ): Promise<void> {
    const { connections, log } = this.#options;
    const answers = await Promise.all(some.map(({ withdrawn }) => this.#isThere(withdrawn, signal)));
    // Some may be offered again meanwhile, and have new connections.
    await this.#takeUp();
    for (const [i, pending] of some.entries()) {
      if (answers[i] !== false || !this.#isCurrent(pending)) continue;
      const { address, port, protocol } = pending.withdrawn;
      const closed = await connections.close(found.get(placeId(pending.withdrawn)) ?? []);
      this.#closed += closed;
      this.#settle(pending);
      if (closed > 0) log.info({ address, port, protocol, closed }, 'Closed connections to a backend that is gone');
    }
  }

  async #isThere(withdrawn: Withdrawn, signal: AbortSignal): Promise<boolean | undefined> {
    try {
      return await this.#options.isThere(withdrawn, signal);
    } catch (error) {
      if (!signal.aborted) this.#options.log.debug({ error, of: withdrawn.owner.name }, 'Cannot ask for a backend');
      this.#unanswered ||= reasonOf(error);
      return undefined;
    }
  }

  #isCurrent(pending: Pending): boolean {
    return this.#pending.get(placeId(pending.withdrawn)) === pending;
  }

  #settle(pending: Pending): void {
    if (this.#isCurrent(pending)) this.#pending.delete(placeId(pending.withdrawn));
  }

  /** Those that are not settled are looked at again. */
  #later(pending: Pending): void {
    if (!this.#isCurrent(pending)) return;
    const { delay } = pending;
    const next = { ...pending, dueAt: this.#clock.now() + delay, delay: Math.min(LONGEST_MS, 2 * delay) };
    this.#pending.set(placeId(pending.withdrawn), next);
  }

  #tellTrouble(reason: string): void {
    if (reason === this.#trouble) return;
    this.#trouble = reason;
    const { report, log } = this.#options;
    if (reason !== '') log.warn({ reason }, 'Some connections to backends that are gone cannot be closed');
    report(
      reason === ''
        ? { kind: 'ok' }
        : { kind: 'degraded', reason: `some connections to backends that are gone stay open: ${reason}` },
    );
  }
}
