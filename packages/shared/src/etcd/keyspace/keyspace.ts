/**
 * Desired state of our part of an etcd. Callers say what should be there; the keyspace writes the difference, retries,
 * and writes again what etcd lost. It removes only what it was told to remove, and leftovers only in `prune`.
 *
 * One write per key at a time, some keys at a time, newest value wins. Two kinds of failure are kept apart: when etcd
 * takes no writes at all, everything waits until the writer says that one is worth trying; when etcd refuses a key, only
 * that key waits.
 */
import { backoff } from '../../process/backoff.ts';
import { type Clock, systemClock } from '../../process/clock.ts';
import { type Logger, silentLogger } from '../../process/logger.ts';
import { reasonOf, retry } from '../../process/retry.ts';
import { EtcdError, type EtcdErrorKind } from '../session/errors.ts';
import type { EtcdWriter, LeasedEntries } from '../write/writer.ts';
import { DesiredKey } from './desired-key.ts';
import { Enforcer } from './enforcer.ts';
import { PendingSet } from './pending-set.ts';

export interface FailingKey {
  readonly reason: string;
  readonly attempts: number;
  /** It will not be tried again until it is set to another value (it is above etcd's size limit). */
  readonly refused: boolean;
}

export interface KeyspaceOptions {
  readonly logger?: Logger;
  /** Writes in flight; default 64. */
  readonly parallel?: number;
  readonly random?: () => number;
  readonly clock?: Clock;
}

const FIRST_RETRY_MS = 5;
const LONGEST_RETRY_MS = 60_000;
const LONGEST_LISTING_RETRY_MS = 2_000;
const STOPS_ALL: ReadonlySet<EtcdErrorKind | undefined> = new Set(['unavailable', 'no-space', 'fenced']);

export class Keyspace {
  readonly #writer: EtcdWriter;
  readonly #options: Required<KeyspaceOptions>;
  readonly #keys = new Map<string, DesiredKey>();
  /** Taken over, and not yet known to be desired. */
  readonly #found = new Map<string, Buffer>();
  readonly #ready = new Set<DesiredKey>();
  readonly #pending = new PendingSet();
  readonly #failing = new Map<string, FailingKey>();
  readonly #enforcers = new Map<string, Enforcer>();
  readonly #closing = new AbortController();
  #busy = 0;
  #state: 'writing' | 'waiting' | 'trying' | 'held' = 'writing';

  constructor(writer: EtcdWriter, options: KeyspaceOptions = {}) {
    this.#writer = writer;
    this.#options = { logger: silentLogger, parallel: 64, random: Math.random, clock: systemClock, ...options };
    writer.onKeysLost((keys) => {
      for (const key of keys) {
        this.#found.delete(key);
        const item = this.#keys.get(key);
        if (item && item.desired !== undefined && !item.refused) this.#rewrite(item);
      }
    });
  }

  /** Writes and deletions that are not in etcd yet, refused ones aside. */
  get pending(): number {
    return this.#pending.size;
  }

  get failing(): ReadonlyMap<string, FailingKey> {
    return this.#failing;
  }

  /** The key shall have this value. Setting the value that is already written does nothing. */
  set(key: string, value: Buffer | string): void {
    this.#want(key, Buffer.from(value));
  }

  /** As `set`, and written again at once when somebody else changes or deletes it. */
  enforce(key: string, value: Buffer | string): void {
    const item = this.#want(key, Buffer.from(value));
    if (this.#enforcers.has(key)) return;
    const [{ signal }, rewrite] = [this.#closing, () => this.#rewrite(item)];
    this.#enforcers.set(key, new Enforcer(item, this.#writer, { ...this.#options, signal, rewrite }));
  }

  /** The key shall not be there. */
  remove(key: string): void {
    this.#want(key, undefined);
    this.#enforcers.get(key)?.stop();
    this.#enforcers.delete(key);
  }

  /**
   * Takes over what is in etcd under the prefix: leases are kept alive, and what is found there as it shall be, now or
   * once it is set, is not written. Deletes nothing. Goes on until done; resolves with what was found; rejects only
   * after `close`.
   */
  async adopt(prefix: string): Promise<ReadonlyMap<string, Buffer>> {
    const { entries, foreign } = await this.#compare(prefix, () => this.#writer.adopt(prefix));
    for (const [key, value] of entries) if (!foreign.has(key) && !this.#keys.has(key)) this.#found.set(key, value);
    return entries;
  }

  /**
   * Deletes what is under the prefix and neither desired nor in `keep`: leftovers of an earlier life, of ours or of
   * etcd's. Writes again what somebody changed or deleted, or wrote under a lease of his own, with which it would go.
   * Call it only after the first complete listing of the source. Goes on until done; resolves with how many were
   * deleted; rejects only after `close`.
   */
  async prune(prefix: string, keep: ReadonlySet<string> = new Set()): Promise<number> {
    const ticket = Symbol(`prune ${prefix}`);
    this.#pending.add(ticket);
    try {
      const { entries, drifted } = await this.#compare(prefix, () => this.#writer.list(prefix));
      const leftovers = [...entries.keys()].filter((key) => !keep.has(key) && !this.#keys.has(key));
      for (const key of leftovers) this.remove(key);
      this.#found.clear();
      await this.#pending.whenDone([...leftovers, ...drifted]);
      if (leftovers.length > 0) this.#options.logger.info({ prefix, keys: leftovers.length }, 'removed leftover keys');
      if (drifted.length > 0) this.#options.logger.warn({ prefix, keys: drifted.length }, 'wrote changed keys again');
      return leftovers.length;
    } finally {
      this.#pending.done(ticket);
    }
  }

  /**
   * Resolves when everything queued so far, prunes included, is in etcd; refused keys (too large) are not waited for.
   * Rejects after `close`.
   */
  whenWritten(): Promise<void> {
    return this.#pending.whenDone();
  }

  /** Writes nothing until `release`; what is to be written is remembered. */
  hold(): void {
    this.#state = 'held';
  }

  release(): void {
    if (this.#state === 'held') this.#state = 'trying';
    this.#pump();
  }

  /** Stops writing. What is in etcd stays there, and the writer stays open. */
  close(): void {
    if (this.#closed) return;
    const reason = new EtcdError('closed', 'The keyspace was closed');
    this.#closing.abort(reason);
    for (const item of this.#keys.values()) item.cancelRetry?.();
    this.#pending.close(reason);
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Lists, and corrects what we think that etcd holds, unless we wrote meanwhile. Also gives what was thought wrongly. */
  async #compare(prefix: string, list: () => Promise<LeasedEntries>) {
    const before = new Map(
      [...this.#keys.values()]
        .filter(({ key, busy }) => !busy && key.startsWith(prefix))
        .map((item) => [item, item.epoch]),
    );
    const listed = await this.#listForSure(list);
    const drifted: string[] = [];
    for (const [item, epoch] of before) {
      if (item.epoch !== epoch || item.refused || this.#keys.get(item.key) !== item) continue;
      const believed = item.settled;
      if (listed.foreign.has(item.key)) item.forget();
      else item.found(listed.entries.get(item.key));
      if (item.settled === believed) continue;
      if (believed) drifted.push(item.key);
      this.#enqueue(item);
    }
    return { ...listed, drifted };
  }

  async #listForSure(list: () => Promise<LeasedEntries>): Promise<LeasedEntries> {
    const { clock, random, logger } = this.#options;
    const { signal } = this.#closing;
    const found = await retry(list, {
      ...{ signal, clock, random, first: FIRST_RETRY_MS, limit: LONGEST_LISTING_RETRY_MS },
      failed: (error) => logger.debug({ error }, 'listing of our own keys failed'),
    });
    if (!found) throw signal.reason;
    return found;
  }

  #want(key: string, value: Buffer | undefined): DesiredKey {
    const known = this.#keys.get(key);
    if (known?.wants(value)) return known;
    const item = known ?? new DesiredKey(key, value);
    this.#keys.set(key, item);
    const found = this.#found.get(key);
    if (found) item.found(found);
    this.#found.delete(key);
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
    if (this.#closed || this.#state === 'waiting' || this.#state === 'held') return;
    // After a wait one write goes first; the rest follows when it got through.
    const parallel = this.#state === 'trying' ? 1 : this.#options.parallel;
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
    if (this.#state === 'trying') this.#state = 'writing';
    this.#failing.delete(item.key);
    if (!item.settled) {
      this.#ready.add(item);
      return;
    }
    this.#settle(item);
    this.#enforcers.get(item.key)?.check();
  }

  #failed(item: DesiredKey, tried: Buffer | undefined, error: unknown): void {
    const kind = kindOf(error);
    if (kind === 'closed') {
      this.close();
      return;
    }
    // A newer value owes nothing to the failure of an old one.
    const outdated = !item.wants(tried);
    item.refused = kind === 'too-large' && !outdated;
    if (!outdated && kind !== 'fenced') this.#note(item, error);
    if (STOPS_ALL.has(kind)) void this.#wait();
    else if (this.#state === 'trying') this.#state = 'writing';
    if (item.refused) this.#settle(item);
    else if (outdated || STOPS_ALL.has(kind)) this.#ready.add(item);
    else this.#retryLater(item);
  }

  #retryLater(item: DesiredKey): void {
    const { clock, random } = this.#options;
    const wait = item.retry ?? backoff({ first: FIRST_RETRY_MS, limit: LONGEST_RETRY_MS, random });
    item.retry = wait.next();
    item.cancelRetry = clock.after(wait.delay, () => this.#enqueue(item));
  }

  async #wait(): Promise<void> {
    if (this.#state === 'waiting' || this.#state === 'held') return;
    this.#state = 'waiting';
    await this.#writer.ready(this.#closing.signal);
    if (this.#state === 'waiting') this.#state = 'trying';
    this.#pump();
  }

  /** Nothing more to do for it now: it is in etcd, or refused. */
  #settle(item: DesiredKey): void {
    if (item.desired === undefined && item.settled) this.#keys.delete(item.key);
    this.#pending.done(item.key);
  }

  #note(item: DesiredKey, error: unknown): void {
    const before = this.#failing.get(item.key);
    const reason = reasonOf(error);
    this.#failing.set(item.key, {
      reason,
      attempts: (before?.attempts ?? 0) + 1,
      refused: item.refused,
    });
    // What stops all is told of by the writer, and of many keys one will do.
    if (before || STOPS_ALL.has(kindOf(error))) return;
    const level = this.#failing.size === 1 ? 'warn' : 'debug';
    this.#options.logger[level]({ key: item.key, reason, refused: item.refused }, 'etcd key is not written');
  }
}

const kindOf = (error: unknown): EtcdErrorKind | undefined => (error instanceof EtcdError ? error.kind : undefined);
