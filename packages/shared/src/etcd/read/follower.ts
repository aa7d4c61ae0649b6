/**
 * One prefix, followed for ever: a complete listing, then a watch from the revision after it, and after every fault the
 * cheapest way back that loses nothing. It owns what it handed on (to find what vanished) and the next revision.
 *
 * 1. An event is handed on once, in order, in the tick in which it arrives; etcd 3.4 may send one twice.
 * 2. A watch is resumed only when etcd still tells the same story at the last revision seen: an etcd that was emptied
 *    counts from 1 again, and would answer a watch from a later revision with silence.
 * 3. Nothing is deleted because of silence: a delete needs an event or a complete new listing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Backoff, backoff } from '../../process/backoff.ts';
import type { Logger } from '../../process/logger.ts';
import type { IEvent, IKeyValue } from '../session/connection.ts';
import { EtcdError, isBeyondRepair } from '../session/errors.ts';
import type { Session } from '../session/session.ts';
import { KnownKeys } from './known-keys.ts';
import { listPages } from './listing.ts';
import type { PrefixEvent } from './reader.ts';
import { isListingCheaper, isSameEntry } from './resume.ts';
import { type WatchEnd, watchPrefix } from './watch.ts';

export interface FollowerOptions {
  readonly prefix: string;
  readonly pageSize: number;
  readonly random: () => number;
  readonly logger: Logger;
}

const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 60_000;
/** A watch that lasted this long has proved itself: the next fault starts with a short delay again. */
const PROVEN_MS = 5_000;

export class Follower {
  readonly #session: Session;
  readonly #options: FollowerOptions;
  readonly #handle: (event: PrefixEvent) => void;
  readonly #known = new KnownKeys();
  /** First revision that was not handed on yet; undefined when only a listing can tell. */
  #next: bigint | undefined;
  /** The newest entry handed on: what etcd must still show at the last revision. */
  #anchor: IKeyValue | undefined;
  #refusals = 0;
  #delay: Backoff;

  constructor(session: Session, options: FollowerOptions, handle: (event: PrefixEvent) => void) {
    this.#session = session;
    this.#options = options;
    this.#handle = handle;
    this.#delay = this.#shortDelay();
  }

  /** Resolves when the signal aborts; rejects when the session is beyond repair, or when the handler threw. */
  async run(signal: AbortSignal): Promise<void> {
    const ending = new AbortController();
    const end = () => ending.abort();
    for (const source of [signal, this.#session.closed]) {
      if (source.aborted) end();
      source.addEventListener('abort', end, { once: true, signal: ending.signal });
    }
    try {
      await this.#followUntil(ending.signal);
    } finally {
      end();
    }
    if (!signal.aborted) this.#session.closed.throwIfAborted();
  }

  async #followUntil(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (!(await this.#canResume(signal))) await this.#list(signal);
        if (!signal.aborted) this.#afterWatch(await this.#watch(signal));
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof EtcdError) || isBeyondRepair(error)) throw error;
        if (error.kind === 'compacted') this.#next = undefined;
        this.#options.logger.debug({ error, prefix: this.#options.prefix }, 'etcd prefix will be tried again');
      }
      await sleep(this.#delay.delay, undefined, { signal }).catch(() => {});
      this.#delay = this.#delay.next();
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    this.#next = undefined;
    this.#anchor = undefined;
    this.#known.beginListing();
    let revision = '0';
    for await (const page of listPages(this.#session, this.#options.prefix, this.#options.pageSize, signal)) {
      if (signal.aborted) return;
      revision = page.revision;
      for (const entry of page.entries) this.#put(entry);
    }
    for (const key of this.#known.endListing()) this.#delete(key, revision);
    this.#next = BigInt(revision) + 1n;
    this.#handle({ kind: 'synced', revision });
  }

  async #watch(signal: AbortSignal): Promise<WatchEnd> {
    const from = this.#next;
    if (from === undefined) throw new Error('Cannot watch: expected a listing before');
    const connection = await this.#session.connection();
    const started = performance.now();
    const request = { prefix: this.#options.prefix, from: String(from) };
    const handler = {
      created: (response: { header: Parameters<Session['confirm']>[0] }) => {
        this.#session.confirm(response.header);
        this.#refusals = 0;
        if (BigInt(response.header.revision) + 1n < from) throw rewound(request.prefix, this.#session.where);
      },
      events: (events: readonly IEvent[]) => this.#events(events),
    };
    const end = await watchPrefix(connection, request, handler, signal);
    if (performance.now() - started > PROVEN_MS) this.#delay = this.#shortDelay();
    if (end.kind === 'lost') this.#session.drop(connection, end.error);
    return end;
  }

  #afterWatch(end: WatchEnd): void {
    if (end.kind === 'aborted') return;
    this.#options.logger.debug({ prefix: this.#options.prefix, reason: end.error.message }, 'etcd watch ended');
    // What does not fit into one message would not fit the next time; a listing can be cut smaller.
    if (end.kind === 'lost' && end.error.kind !== 'too-large') return;
    this.#next = undefined;
    // A stale token looks like a denied watch. The listing that comes next decides, unless it was allowed before.
    if (end.error.kind === 'unauthorized' && ++this.#refusals > 1) throw end.error;
  }

  /** A whole revision is in one answer, so what is below `next` was handed on entirely. */
  #events(events: readonly IEvent[]): void {
    const next = this.#next ?? 0n;
    let last = next - 1n;
    for (const { type, kv } of events) {
      const revision = BigInt(kv.mod_revision);
      if (revision < next) continue;
      last = revision;
      if (type === 'Put') this.#put(kv);
      else this.#delete(kv.key.toString(), kv.mod_revision);
    }
    this.#next = last + 1n;
  }

  #put(entry: IKeyValue): void {
    const key = entry.key.toString();
    this.#known.put(key);
    if (!this.#anchor || BigInt(entry.mod_revision) >= BigInt(this.#anchor.mod_revision)) this.#anchor = entry;
    this.#handle({ kind: 'put', key, value: entry.value, revision: entry.mod_revision });
  }

  #delete(key: string, revision: string): void {
    this.#known.delete(key);
    if (this.#anchor?.key.toString() === key) this.#anchor = undefined;
    this.#handle({ kind: 'delete', key, revision });
  }

  /** Reads the newest known entry as of the last revision: another answer, or none, is another history. */
  async #canResume(signal: AbortSignal): Promise<boolean> {
    const anchor = this.#anchor;
    if (this.#next === undefined || !anchor) return false;
    const last = this.#next - 1n;
    const { header, kvs } = await this.#session.call({ action: `read "${anchor.key}"`, signal }, ({ kv }, options) =>
      kv.range({ key: anchor.key, revision: String(last) }, options),
    );
    const behind = BigInt(header.revision) - last;
    return behind >= 0n && isSameEntry(kvs[0], anchor) && !isListingCheaper(behind, this.#known.size);
  }

  #shortDelay(): Backoff {
    return backoff({ first: FIRST_DELAY_MS, limit: LONGEST_DELAY_MS, random: this.#options.random });
  }
}

function rewound(prefix: string, where: string): EtcdError {
  return new EtcdError(
    'compacted',
    `Cannot resume the watch of prefix "${prefix}" at ${where}: expected the revision to grow: it went back`,
  );
}
