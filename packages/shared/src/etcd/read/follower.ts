/**
 * One prefix, followed for ever: a complete listing, then a watch from the revision after it, and after every fault the
 * cheapest way back that loses nothing. It owns what it handed on (to find what vanished) and the next revision.
 *
 * 1. An event is handed on once and in order, in the tick in which it arrives; many at once in slices of a few ms, while
 *    which nothing more is asked of etcd. etcd 3.4 may send one twice.
 * 2. What a watch says is believed only when its etcd, asked after it accepted the watch, tells the same story at the last
 *    revision seen: an etcd that was emptied counts from 1 again, and would answer a watch from a later revision with
 *    silence.
 * 3. Nothing is deleted because of silence: a delete needs an event or a complete new listing.
 */
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { childOf } from '../../process/notifier.ts';
import { AGAIN, retry } from '../../process/retry.ts';
import { inSlices } from '../../process/slices.ts';
import type { KeyEvent, KeyValue } from '../session/connection.ts';
import { EtcdError, isBeyondRepair, isSilence } from '../session/errors.ts';
import type { Session } from '../session/session.ts';
import { prefixRange } from './key-range.ts';
import { KnownKeys } from './known-keys.ts';
import { listPages } from './listing.ts';
import type { PrefixEvent } from './reader.ts';
import { isListingCheaper, isNewer, isSameEntry } from './resume.ts';
import { openWatch } from './watch.ts';

export interface FollowerOptions {
  readonly prefix: string;
  readonly pageBytes: number;
  readonly random: () => number;
  readonly logger: Logger;
  readonly clock: Clock;
}

export class Follower {
  readonly #session: Session;
  readonly #options: FollowerOptions;
  readonly #handle: (event: PrefixEvent) => void;
  readonly #known = new KnownKeys();
  /** First revision that was not handed on yet; undefined when only a listing can tell. */
  #next: bigint | undefined;
  /** The newest entry handed on: what etcd must still show at the last revision. */
  #anchor: KeyValue | undefined;
  #refusals = 0;

  constructor(session: Session, options: FollowerOptions, handle: (event: PrefixEvent) => void) {
    this.#session = session;
    this.#options = options;
    this.#handle = handle;
  }

  /** Resolves when the signal aborts; rejects when the session is beyond repair, or when the handler threw. */
  async run(signal: AbortSignal): Promise<void> {
    const { closed } = this.#session;
    const { prefix, clock, random, logger } = this.#options;
    const ending = childOf(signal, closed);
    const failure = await retry((signal) => this.#attempt(signal), {
      ...{ signal: ending.signal, clock, random },
      first: 50,
      limit: 10_000,
      // A watch that lasted this long has proved itself: the next fault starts with a short delay again.
      heldMs: 5_000,
      failed: (error, delay) => logger.debug({ error, delay, prefix }, 'etcd prefix will be tried again'),
    });
    ending.abort();
    if (failure) throw failure.error;
    if (!signal.aborted) closed.throwIfAborted();
  }

  /** Answers with what no other attempt would mend. */
  async #attempt(signal: AbortSignal): Promise<{ readonly error: unknown } | typeof AGAIN> {
    const life = childOf(signal);
    const fresh = this.#next === undefined;
    let watching = false;
    try {
      const from = this.#next ?? (await this.#list(life.signal));
      watching = true;
      await this.#watch(from, fresh, life.signal);
    } catch (error) {
      if (signal.aborted) return AGAIN;
      if (!(error instanceof EtcdError)) return { error };
      // A stale token looks like a denied watch. The listing that comes next decides, unless it was allowed before.
      const denied = watching && error.kind === 'unauthorized' && ++this.#refusals === 1;
      if (isBeyondRepair(error) && !denied) return { error };
      if (!isSilence(error)) this.#next = undefined;
      throw error;
    } finally {
      life.abort();
    }
    return AGAIN;
  }

  /** Answers with the revision to watch from. */
  async #list(signal: AbortSignal): Promise<bigint> {
    const { prefix, pageBytes } = this.#options;
    this.#anchor = undefined;
    this.#known.beginListing();
    let revision = '0';
    for await (const page of listPages(this.#session, { prefix, pageBytes, signal, patient: true })) {
      revision = page.revision;
      await inSlices(page.entries, (entry) => this.#put(entry), signal);
      this.#keepAnchor();
    }
    await inSlices(this.#known.endListing(), (key) => this.#delete(key, revision), signal);
    this.#next = BigInt(revision) + 1n;
    this.#handle({ kind: 'synced', revision });
    return this.#next;
  }

  /** Answers only when etcd must be listed; throws when the watch ends. `fresh`: a listing has just been made. */
  async #watch(from: bigint, fresh: boolean, signal: AbortSignal): Promise<void> {
    const { prefix, clock } = this.#options;
    const watch = await openWatch(this.#session, { prefix, from, clock }, signal);
    const goesOn = await this.#goesOn(from - 1n, watch.revision, fresh, signal);
    if (!goesOn) {
      this.#next = undefined;
      return;
    }
    this.#refusals = 0;
    for await (const events of watch.batches) await this.#hear(events, signal);
  }

  /** Whether etcd had, at the last revision that we saw, what we saw then, and is worth being watched from there. */
  async #goesOn(last: bigint, current: bigint, fresh: boolean, signal: AbortSignal): Promise<boolean> {
    const { prefix } = this.#options;
    const behind = current - last;
    if (!fresh && isListingCheaper(behind, this.#known.size)) return false;
    const anchor = this.#known.size > 0 ? this.#anchor : undefined;
    const { key, end } = anchor ? { key: anchor.key, end: undefined } : prefixRange(prefix);
    const request = { key, ...(end && { range_end: end }), limit: 1, revision: String(last) };
    const { kvs } = await this.#session.call({ action: `read "${key}"`, signal }, ({ kv }, call) =>
      kv.range(request, call),
    );
    return isSameEntry(kvs[0], anchor);
  }

  /** A whole revision is in one answer, so what is below `next` was handed on entirely. */
  async #hear(events: readonly KeyEvent[], signal: AbortSignal): Promise<void> {
    const next = this.#next ?? 0n;
    let last = next - 1n;
    const hear = ({ type, kv }: KeyEvent) => {
      const revision = BigInt(kv.mod_revision);
      if (revision < next) return;
      last = revision;
      if (type === 'Put') this.#put(kv);
      else this.#delete(kv.key.toString(), kv.mod_revision);
    };
    await inSlices(events, hear, signal);
    this.#next = last + 1n;
    this.#keepAnchor();
  }

  #put(entry: KeyValue): void {
    const key = entry.key.toString();
    this.#known.put(key);
    if (!this.#anchor || !isNewer(this.#anchor, entry)) this.#anchor = entry;
    this.#handle({ kind: 'put', key, value: entry.value, revision: entry.mod_revision });
  }

  #delete(key: string, revision: string): void {
    this.#known.delete(key);
    this.#handle({ kind: 'delete', key, revision });
  }

  /** As a copy: it would keep a whole page. */
  #keepAnchor(): void {
    const anchor = this.#anchor;
    this.#anchor = anchor && { ...anchor, key: Buffer.from(anchor.key), value: Buffer.from(anchor.value) };
  }
}
