/**
 * One kind of entries → etcd. The shell around `EntrySource`: hands changes on in the tick in which they were made, and
 * announces by the canary that the kind is complete.
 *
 * P1 Nothing is written, and nothing of an earlier life deleted, before all sources were heard completely.
 * P2 The canary is written after everything else of its kind; when etcd loses keys, again only after they are back.
 * P3 Each announcement compares etcd with what was said, and mends what somebody, or an older backup, put there.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Keyspace } from '@tombolo/shared/etcd/keyspace/keyspace.ts';
import type { EtcdWriter } from '@tombolo/shared/etcd/write/writer.ts';
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
    const { source, kind, log, onComplete } = this.#options;
    this.#state = 'writing';
    this.#flush();
    await this.#makeWhole();
    await this.#putCanary();
    if (this.#options.signal.aborted) return;
    this.#state = 'complete';
    log.info({ kind, entries: source.size }, 'All entries of the kind are written');
    onComplete();
    if (this.#stale) this.announce();
  }

  /** Writes the canary again, after making sure that all entries are there and no others. */
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
    const { signal, log, kind } = this.#options;
    try {
      while (this.#stale && !signal.aborted) {
        this.#stale = false;
        await this.#makeWhole();
        await this.#putCanary();
      }
    } catch (error) {
      // Only a closed keyspace rejects.
      if (!signal.aborted) log.error({ kind, error }, 'Cannot make sure that all entries are written');
    } finally {
      this.#announcing = false;
    }
  }

  async #makeWhole(): Promise<void> {
    const { keyspace, source } = this.#options;
    await keyspace.prune(this.#prefix, new Set([...source.keep].map((suffix) => this.#prefix + suffix)));
    await keyspace.whenWritten();
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
