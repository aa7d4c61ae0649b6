/**
 * One kind of entries → etcd. The shell around `EntrySource`: hands changes on in the tick in which they were made, and
 * announces by the canary that the kind is complete.
 *
 * P1 Nothing is written, and nothing of an earlier life deleted, before all sources were heard completely.
 * P2 The canary is written after everything else of its kind; when etcd loses keys, again only after they are back.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Keyspace } from '@tombolo/shared/etcd/keyspace.ts';
import type { EtcdWriter } from '@tombolo/shared/etcd/writer.ts';
import { backoff } from '@tombolo/shared/process/backoff.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { type EntryKind, entryPrefix, syncedKey } from '@tombolo/shared/wire/keys.ts';
import { encodeTimestamp } from '@tombolo/shared/wire/timestamp.ts';
import type { EntrySource } from './entries.ts';

export interface PublisherOptions {
  readonly kind: EntryKind;
  readonly cluster: string;
  readonly source: EntrySource;
  /** For this kind alone. */
  readonly keyspace: Keyspace;
  readonly writer: EtcdWriter;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** The canary was written for the first time. */
  readonly onComplete: () => void;
  /** Changes were handed to the keyspace. */
  readonly onFlushed?: () => void;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #prefix: string;
  readonly #canary: string;
  #state: 'waiting' | 'writing' | 'complete' = 'waiting';
  #flushing = false;
  /** The canary is to be written again. */
  #stale = false;
  #announcing = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#prefix = entryPrefix(options.kind, 'state', options.cluster);
    this.#canary = syncedKey(options.kind, 'state', options.cluster);
    options.writer.onKeysLost((keys) => {
      if (keys.some((key) => key === this.#canary || key.startsWith(this.#prefix))) this.announce();
    });
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

  /** To be called once, when everything that the source is made of was heard completely. */
  async begin(): Promise<void> {
    const { keyspace, source, kind, log, onComplete } = this.#options;
    this.#state = 'writing';
    this.#flush();
    await keyspace.prune(this.#prefix, new Set([...source.keep].map((suffix) => this.#prefix + suffix)));
    await keyspace.whenWritten();
    await this.#putCanary();
    if (this.#options.signal.aborted) return;
    this.#state = 'complete';
    log.info({ kind, entries: source.size }, 'All entries of the kind are written');
    onComplete();
    if (this.#stale) this.announce();
  }

  /** Writes the canary again, after making sure that all entries are there. */
  announce(): void {
    this.#stale = true;
    if (this.#state !== 'complete' || this.#announcing) return;
    this.#announcing = true;
    void this.#announceWhenWhole();
  }

  #flush(): void {
    if (this.#state === 'waiting') return;
    const { source, keyspace, onFlushed } = this.#options;
    for (const [suffix, value] of source.takeChanges()) {
      if (value === undefined) keyspace.remove(this.#prefix + suffix);
      else keyspace.set(this.#prefix + suffix, value);
    }
    onFlushed?.();
  }

  async #announceWhenWhole(): Promise<void> {
    const { keyspace, signal, log, kind } = this.#options;
    let wait = backoff({ first: 100, limit: 10_000 });
    while (this.#stale && !signal.aborted) {
      this.#stale = false;
      try {
        await keyspace.whenWritten();
        if (await this.#isWhole()) {
          await this.#putCanary();
          continue;
        }
      } catch (error) {
        if (!signal.aborted) log.debug({ kind, error }, 'Cannot make sure that all entries are written');
      }
      this.#stale = true;
      await sleep(wait.delay, undefined, { signal }).catch(() => {});
      wait = wait.next();
    }
    this.#announcing = false;
  }

  async #isWhole(): Promise<boolean> {
    const { writer, source, keyspace } = this.#options;
    const { entries } = await writer.list(this.#prefix);
    for (const suffix of source.suffixes) {
      const key = this.#prefix + suffix;
      if (!entries.has(key) && !keyspace.failing.get(key)?.refused) return false;
    }
    return true;
  }

  /** Goes on until it is written. */
  async #putCanary(): Promise<void> {
    const { writer, signal, log, kind } = this.#options;
    for (let wait = backoff({ first: 100, limit: 10_000 }); !signal.aborted; wait = wait.next()) {
      try {
        await writer.put(this.#canary, encodeTimestamp(Date.now()));
        return;
      } catch (error) {
        if (!signal.aborted) log.debug({ kind, error }, 'Cannot write the canary yet');
      }
      await sleep(wait.delay, undefined, { signal }).catch(() => {});
    }
  }
}
