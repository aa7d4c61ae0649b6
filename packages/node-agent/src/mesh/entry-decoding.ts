/** What was heard of one kind of entry on its way into the store: waits its turn, is decoded, and is told. */
import type { PrefixEvent } from '@tombolo/shared/etcd/read/reader.ts';
import type { Result } from '@tombolo/shared/model/result.ts';
import type { Clock } from '@tombolo/shared/process/clock.ts';
import { suffixOf } from '@tombolo/shared/wire/keys.ts';
import type { EntryStore } from './entry-store.ts';
import type { FairWork, WorkSource } from './fair-work.ts';
import { PendingEntries } from './pending-entries.ts';

export interface EntryDecodingOptions<T> {
  readonly prefix: string;
  readonly store: EntryStore<T>;
  readonly decode: (suffix: string, value: Buffer, revision: string) => Result<T>;
  readonly changed: (suffix: string, value: T | undefined) => void;
  /** Called once for each reason that an entry is refused for. */
  readonly refused: (key: string, reason: string) => void;
  /** The listing is complete, and all of it was decoded; again after each later one. */
  readonly listed: () => void;
  /** Called after some of the above, when it is time to tell others. */
  readonly flush: () => void;
  /** Called after `flush`, for withdrawals. */
  readonly sliced: () => void;
  readonly work: FairWork;
  readonly clock: Clock;
}

export class EntryDecoding<T> implements WorkSource {
  readonly #options: EntryDecodingOptions<T>;
  readonly #pending = new PendingEntries();
  readonly #ended = Promise.withResolvers<void>();
  #cancelWake = (): void => {};

  constructor(options: EntryDecodingOptions<T>) {
    this.#options = options;
  }

  /** Resolves when the signal aborts: what waits then is dropped, since the next listing names it again. */
  async run(signal: AbortSignal): Promise<void> {
    const end = (): void => this.#ended.resolve();
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    try {
      await this.#ended.promise;
    } finally {
      signal.removeEventListener('abort', end);
      this.#cancelWake();
      this.#options.work.withdraw(this);
    }
  }

  add(event: PrefixEvent): void {
    this.#pending.add(event);
    this.#options.work.request(this);
  }

  step(): boolean {
    const event = this.#pending.take(this.#options.clock.now());
    if (event === undefined) return this.#wakeLater();
    try {
      this.#apply(event);
      return true;
    } catch (error) {
      this.#ended.reject(error);
      return false;
    }
  }

  sliced(): void {
    this.#options.flush();
    this.#options.sliced();
  }

  #wakeLater(): false {
    const { clock, work } = this.#options;
    const at = this.#pending.nextAt;
    this.#cancelWake();
    if (at !== undefined) this.#cancelWake = clock.after(at - clock.now(), () => work.request(this));
    return false;
  }

  #apply(event: PrefixEvent): void {
    const { store, prefix, decode, changed, refused, listed, clock } = this.#options;
    if (event.kind === 'synced') {
      store.endListing(event.revision);
      listed();
      return;
    }
    const suffix = suffixOf(event.key, prefix);
    if (suffix === undefined) return;
    if (event.kind === 'delete') {
      store.withdraw(suffix, event.revision);
      return;
    }
    const value = decode(suffix, event.value, event.revision);
    const outcome = store.put(suffix, value, event.key, clock.wallTime());
    if (outcome === 'refused' && !value.ok) refused(event.key, value.error);
    if (outcome === 'changed' && value.ok) changed(suffix, value.value);
  }
}
