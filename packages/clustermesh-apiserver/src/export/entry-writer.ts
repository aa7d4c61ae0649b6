/**
 * One kind of entries → etcd. The shell around `EntrySource`: hands changes on in the tick in which they were made, and
 * announces by the canary that the kind is complete.
 *
 * P1 Nothing is written, and nothing of an earlier life deleted, before all sources were heard completely since we may
 *    write.
 * P2 The canary is written after everything else of its kind; when etcd loses keys, again only after they are back.
 * P3 Each announcement compares etcd with what was said, and mends what somebody, or an older backup, put there.
 * P4 What a predecessor left is kept alive from the start, and its canary from the moment in which we may write.
 */
import type { Keyspace } from '@tombolo/shared/etcd/keyspace/keyspace.ts';
import type { EtcdWriter } from '@tombolo/shared/etcd/write/writer.ts';
import type { Clock } from '@tombolo/shared/process/clock.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { aborted, childOf, Notifier } from '@tombolo/shared/process/notifier.ts';
import { type EntryKind, entryPrefix, syncedKey } from '@tombolo/shared/wire/keys.ts';
import { encodeTimestamp } from '@tombolo/shared/wire/timestamp.ts';
import type { EntrySource } from './entries.ts';

export interface EntryWriterOptions {
  readonly kind: EntryKind;
  readonly cluster: string;
  readonly source: EntrySource;
  /** For this kind alone. */
  readonly keyspace: Keyspace;
  readonly writer: Pick<EtcdWriter, 'get' | 'vouch' | 'retract' | 'onKeysLost'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Resolves when what the source is made of was heard completely since the tenure began, or that has ended. */
  readonly trusted: (tenure: AbortSignal) => Promise<void>;
  /** The canary was written for the first time. */
  readonly onComplete: () => void;
}

export class EntryWriter {
  readonly source: EntrySource;
  readonly keyspace: Keyspace;
  readonly #options: EntryWriterOptions;
  readonly #prefix: string;
  readonly #canary: string;
  readonly #announcing = new Notifier();
  /** How often etcd lost keys of ours. */
  #losses = 0;
  #complete = false;
  #writing = false;
  #flushing = false;
  #cancelFlush: () => void = () => {};

  constructor(options: EntryWriterOptions) {
    this.source = options.source;
    this.keyspace = options.keyspace;
    this.#options = options;
    this.#prefix = entryPrefix(options.kind, 'state', options.cluster);
    this.#canary = syncedKey(options.kind, 'state', options.cluster);
    options.writer.onKeysLost((keys) => {
      if (!keys.some((key) => key === this.#canary || key.startsWith(this.#prefix))) return;
      options.writer.retract(this.#canary);
      this.#losses++;
      this.announce();
    });
  }

  /** Whether the canary was written once. */
  get complete(): boolean {
    return this.#complete;
  }

  /** The source has news. Several changes in one tick become one. */
  touch(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  /** Writes the canary again, after making sure that all entries are there and no others. */
  announce(): void {
    this.#announcing.notify();
  }

  /** Keeps alive what is in etcd. Writes nothing. */
  async adopt(): Promise<void> {
    await this.keyspace.adopt(this.#prefix);
  }

  /** Writes for as long as we may. Rejects when the keyspace is closed. */
  async lead(tenure: AbortSignal): Promise<void> {
    const { writer, trusted } = this.#options;
    try {
      this.keyspace.hold();
      const whenTrusted = trusted(tenure);
      const losses = this.#losses;
      await this.adopt();
      await this.#keepCanary(tenure, losses);
      await whenTrusted;
      if (!tenure.aborted) await this.#write(tenure);
    } finally {
      this.#writing = false;
      this.#cancelFlush();
      this.keyspace.hold();
      writer.retract(this.#canary);
    }
  }

  /** It was there after the listing, so all that it vouched for was; and is, if no more has been lost since. */
  async #keepCanary(tenure: AbortSignal, losses: number): Promise<void> {
    const found = await this.#options.writer.get(this.#canary).catch(() => undefined);
    if (found && this.#losses === losses) void this.#options.writer.vouch(this.#canary, found.value.toString(), tenure);
  }

  async #write(tenure: AbortSignal): Promise<void> {
    const { writer, clock } = this.#options;
    this.#writing = true;
    this.#flush();
    this.keyspace.release();
    while (!tenure.aborted) {
      const { version } = this.#announcing;
      await this.#makeWhole(tenure);
      if (tenure.aborted) return;
      if (this.#announcing.version === version) {
        await writer.vouch(this.#canary, encodeTimestamp(clock.wallTime()), tenure);
        if (tenure.aborted) return;
        if (this.#announcing.version === version) this.#completed();
      }
      await this.#announcing.changed(version, tenure);
    }
  }

  #completed(): void {
    if (this.#complete) return;
    this.#complete = true;
    const { log, kind, onComplete } = this.#options;
    log.info({ kind, entries: this.source.size }, 'All entries of the kind are written');
    onComplete();
  }

  /** Resolves when all is written, or our time has ended. */
  async #makeWhole(tenure: AbortSignal): Promise<void> {
    const waiting = childOf(tenure);
    const keep = new Set([...this.source.keep].map((suffix) => this.#prefix + suffix));
    const whole = this.keyspace.prune(this.#prefix, keep).then(() => this.keyspace.whenWritten());
    whole.catch(() => {});
    await Promise.race([whole, aborted(waiting.signal)]);
    waiting.abort();
  }

  #flush(): void {
    if (!this.#writing) return;
    const { clock } = this.#options;
    this.#cancelFlush();
    const now = clock.now();
    for (const [suffix, value] of this.source.takeChanges(now)) {
      if (value === undefined) this.keyspace.remove(this.#prefix + suffix);
      else this.keyspace.set(this.#prefix + suffix, value);
    }
    const until = this.source.heldBackUntil;
    if (until !== undefined) this.#cancelFlush = clock.after(until - now, () => this.#flush());
  }
}
