/**
 * The engine of a keyspace. One write per key at a time, some keys at a time, newest value wins. Two kinds of failure
 * are kept apart: when etcd does not answer, everything pauses together and one write tries again; when etcd refuses a
 * key, only that key waits.
 */
import { type Backoff, backoff } from '../../process/backoff.ts';
import type { Logger } from '../../process/logger.ts';
import { EtcdError } from '../session/errors.ts';
import type { EtcdWriter, Listing } from '../write/writer.ts';
import { DesiredKey, type Held } from './desired-key.ts';
import type { FailingKey, Keyspace } from './desired-state.ts';
import { Enforcer } from './enforcer.ts';
import { PendingSet } from './pending-set.ts';
import { pause, type Timers } from './timers.ts';

export interface KeyspaceLoopOptions {
  readonly logger: Logger;
  readonly parallel: number;
  readonly refreshMs: number;
  readonly random: () => number;
  readonly timers: Timers;
}

const FIRST_RETRY_MS = 5;
const LONGEST_RETRY_MS = 60_000;
/** Short, since the breaker of the writer makes a try at a dead etcd cheap. */
const LONGEST_PAUSE_MS = 2_000;

export class KeyspaceLoop implements Keyspace {
  readonly #writer: EtcdWriter;
  readonly #options: KeyspaceLoopOptions;
  readonly #keys = new Map<string, DesiredKey>();
  readonly #ready = new Set<DesiredKey>();
  readonly #pending = new PendingSet();
  readonly #failing = new Map<string, FailingKey>();
  readonly #enforcer: Enforcer;
  #busy = 0;
  #pause: Backoff | undefined;
  #cancelPause: (() => void) | undefined;
  readonly #closing = new AbortController();

  constructor(writer: EtcdWriter, options: KeyspaceLoopOptions) {
    this.#writer = writer;
    this.#options = options;
    this.#enforcer = new Enforcer(writer, options, (item) => this.#rewrite(item));
    writer.onKeysLost((keys) => {
      for (const key of keys) {
        const item = this.#keys.get(key);
        if (item && item.desired !== undefined && !item.refused) this.#rewrite(item);
      }
    });
  }

  get pending(): number {
    return this.#pending.size;
  }

  get failing(): ReadonlyMap<string, FailingKey> {
    return this.#failing;
  }

  set(key: string, value: Buffer | string): void {
    this.#want(key, Buffer.from(value));
  }

  enforce(key: string, value: Buffer | string): void {
    this.#enforcer.watch(this.#want(key, Buffer.from(value)));
  }

  remove(key: string): void {
    this.#enforcer.forget(this.#want(key, undefined));
  }

  async prune(prefix: string, keep: ReadonlySet<string> = new Set()): Promise<number> {
    const ticket = Symbol(`prune ${prefix}`);
    this.#pending.add(ticket);
    try {
      const believed = this.#believed(prefix);
      const { entries, foreign } = await this.#listForSure(prefix);
      const leftovers = [...entries.keys()].filter((key) => !keep.has(key) && !this.#keys.has(key));
      for (const key of leftovers) this.remove(key);
      // What was written meanwhile need not be in the listing.
      const drifted = [...believed].filter(
        ([item, held]) => item.held === held && (!item.isHeldAs(entries.get(item.key)) || foreign.has(item.key)),
      );
      for (const [item] of drifted) this.#rewrite(item);
      await this.#pending.whenDone([...leftovers, ...drifted.map(([{ key }]) => key)]);
      if (leftovers.length > 0) this.#options.logger.info({ prefix, keys: leftovers.length }, 'removed leftover keys');
      if (drifted.length > 0) this.#options.logger.warn({ prefix, keys: drifted.length }, 'wrote changed keys again');
      return leftovers.length;
    } finally {
      this.#pending.done(ticket);
    }
  }

  whenWritten(): Promise<void> {
    return this.#pending.whenDone();
  }

  close(): void {
    if (this.#closed) return;
    const reason = new EtcdError('closed', 'The keyspace was closed');
    this.#closing.abort(reason);
    this.#enforcer.close();
    this.#cancelPause?.();
    for (const item of this.#keys.values()) item.cancelRetry?.();
    this.#pending.close(reason);
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** The keys under the prefix of which we think that etcd has them as they shall be, and that thought. */
  #believed(prefix: string): ReadonlyMap<DesiredKey, Held> {
    const items = [...this.#keys.values()].filter(({ key, settled }) => settled && key.startsWith(prefix));
    return new Map(items.map((item) => [item, item.held]));
  }

  #want(key: string, value: Buffer | undefined): DesiredKey {
    const item = this.#keys.get(key) ?? new DesiredKey(key, value);
    const isNew = !this.#keys.has(key);
    this.#keys.set(key, item);
    if (!isNew && item.wants(value)) return item;
    item.desired = value;
    item.refused = false;
    item.retry = undefined;
    this.#failing.delete(key);
    this.#enqueue(item);
    return item;
  }

  #rewrite(item: DesiredKey): void {
    item.forget();
    this.#enqueue(item);
  }

  #enqueue(item: DesiredKey): void {
    item.cancelRetry?.();
    item.cancelRetry = undefined;
    this.#pending.add(item.key);
    if (!item.busy) this.#ready.add(item);
    this.#pump();
  }

  #pump(): void {
    if (this.#closed || this.#cancelPause) return;
    // After a pause one write goes first; the rest follows when it got through.
    const parallel = this.#pause ? 1 : this.#options.parallel;
    for (const item of this.#ready) {
      if (this.#busy >= parallel) return;
      this.#ready.delete(item);
      if (item.settled) this.#settle(item);
      else void this.#write(item);
    }
  }

  async #write(item: DesiredKey): Promise<void> {
    const { key, desired } = item;
    const attempt = item.begin();
    this.#busy++;
    let error: unknown;
    try {
      if (desired === undefined) await this.#writer.delete(key);
      const revision = desired === undefined ? undefined : BigInt(await this.#writer.put(key, desired));
      item.wrote(attempt, desired, revision);
    } catch (cause) {
      error = cause;
    }
    item.busy = false;
    this.#busy--;
    if (this.#closed) return;
    if (error === undefined) this.#succeeded(item);
    else this.#failed(item, desired, error);
    this.#pump();
  }

  #succeeded(item: DesiredKey): void {
    this.#pause = undefined;
    this.#failing.delete(item.key);
    if (!item.settled) {
      this.#ready.add(item);
      return;
    }
    this.#settle(item);
    if (item.enforced) this.#enforcer.check(item);
  }

  #failed(item: DesiredKey, tried: Buffer | undefined, error: unknown): void {
    const kind = error instanceof EtcdError ? error.kind : undefined;
    if (kind === 'closed') {
      this.close();
      return;
    }
    // A newer value owes nothing to the failure of an old one.
    const outdated = !item.wants(tried);
    item.refused = kind === 'too-large' && !outdated;
    if (!outdated && kind !== 'lease-lost') this.#note(item, error);
    if (kind === 'unavailable') this.#pauseAll();
    else this.#pause = undefined;
    if (item.refused) this.#settle(item);
    else if (outdated || kind === 'unavailable') this.#ready.add(item);
    else this.#retryLater(item);
  }

  #retryLater(item: DesiredKey): void {
    const wait = item.retry ?? this.#backoff(LONGEST_RETRY_MS);
    item.retry = wait.next();
    item.cancelRetry = this.#options.timers.after(wait.delay, () => this.#enqueue(item));
  }

  /** Nothing more to do for it now: it is in etcd, or refused. */
  #settle(item: DesiredKey): void {
    if (item.desired === undefined && item.settled) this.#keys.delete(item.key);
    this.#pending.done(item.key);
  }

  #note(item: DesiredKey, error: unknown): void {
    const before = this.#failing.get(item.key);
    const reason = error instanceof Error ? error.message : String(error);
    this.#failing.set(item.key, {
      reason,
      attempts: (before?.attempts ?? 0) + 1,
      since: before?.since ?? this.#options.timers.now(),
      refused: item.refused,
    });
    if (!before) this.#options.logger.warn({ key: item.key, reason, refused: item.refused }, 'etcd key is not written');
  }

  #pauseAll(): void {
    if (this.#cancelPause) return;
    const wait = this.#pause ?? this.#backoff(LONGEST_PAUSE_MS);
    this.#pause = wait.next();
    this.#cancelPause = this.#options.timers.after(wait.delay, () => {
      this.#cancelPause = undefined;
      this.#pump();
    });
  }

  async #listForSure(prefix: string): Promise<Listing> {
    for (let wait = this.#backoff(LONGEST_PAUSE_MS); ; wait = wait.next()) {
      this.#closing.signal.throwIfAborted();
      try {
        return await this.#writer.list(prefix);
      } catch (error) {
        this.#options.logger.debug({ prefix, error }, 'listing for a prune failed');
        await pause(this.#options.timers, wait.delay, this.#closing.signal);
      }
    }
  }

  #backoff(limit: number): Backoff {
    return backoff({ first: FIRST_RETRY_MS, limit, random: this.#options.random });
  }
}
