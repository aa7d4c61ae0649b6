/**
 * What one cluster says under one prefix: the last good value of each key, and why later ones were refused. It outlives
 * sessions. No I/O and no clock; the caller says when a withdrawal may take effect.
 *
 * E1. A refused value leaves the previous one of its key in force.
 * E2. A key goes only by `settle`: after a delete event or a complete listing without it, and when the caller is sure.
 *     A listing of an older state takes nothing away.
 */

import type { Result } from '@tombolo/shared/model/result.ts';
import type { Quarantined } from '@tombolo/shared/model/service-table.ts';
import { EntryHistory } from './entry-history.ts';

export interface EntryStoreOptions<T> {
  /** What `weight` sums up, e.g. the number of backends of a Service. */
  readonly weigh: (value: T) => number;
  /** Whether a value says nothing new: then the known one stays, with its age. */
  readonly same: (known: T, heard: T) => boolean;
}

export class EntryStore<T> {
  readonly history = new EntryHistory();
  readonly #options: EntryStoreOptions<T>;
  readonly #values = new Map<string, T>();
  readonly #refused = new Map<string, Quarantined>();
  /** Known from before, not heard of in the listing under way. */
  #unlisted = new Set<string>();
  /** Said to be gone, with the revision that says so. */
  readonly #withdrawn = new Map<string, bigint>();
  #weight = 0;
  #quarantined: readonly Quarantined[] | undefined;

  constructor(options: EntryStoreOptions<T>) {
    this.#options = options;
  }

  get values(): ReadonlyMap<string, T> {
    return this.#values;
  }

  get weight(): number {
    return this.#weight;
  }

  get quarantined(): readonly Quarantined[] {
    this.#quarantined ??= [...this.#refused.values()];
    return this.#quarantined;
  }

  /** Of these nothing good was heard, unless they have a value from before. */
  get refusedKeys(): Iterable<string> {
    return this.#refused.keys();
  }

  get withdrawn(): ReadonlyMap<string, bigint> {
    return this.#withdrawn;
  }

  /** Keys that a listing of an older state lacks, which stay. */
  get outdated(): number {
    return this.history.isOutdated ? this.#unlisted.size : 0;
  }

  /** What the listing that begins does not name will be withdrawn; it also decides anew about earlier withdrawals. */
  beginListing(): void {
    this.#withdrawn.clear();
    this.#unlisted = new Set([...this.#values.keys(), ...this.#refused.keys()]);
  }

  endListing(revision: string): void {
    if (this.history.isOutdated) return;
    for (const key of this.#unlisted) this.#withdrawn.set(key, BigInt(revision));
    this.#unlisted.clear();
  }

  /** `path` is the whole key, and `at` the wall time, for people. */
  put(key: string, value: Result<T>, path: string, at: number): 'changed' | 'same' | 'refused' {
    this.#unlisted.delete(key);
    this.#withdrawn.delete(key);
    if (!value.ok) {
      if (this.#refused.get(key)?.reason === value.error) return 'same';
      this.#refused.set(key, { key: path, reason: value.error, at });
      this.#quarantined = undefined;
      return 'refused';
    }
    this.#accept(key);
    const known = this.#values.get(key);
    if (known !== undefined && this.#options.same(known, value.value)) return 'same';
    this.#replace(key, value.value);
    return 'changed';
  }

  /** A listing of an older state lacks it. */
  keep(key: string): void {
    if (this.#values.has(key)) this.#unlisted.add(key);
  }

  withdraw(key: string, revision: string): void {
    this.#unlisted.delete(key);
    if (this.#values.has(key) || this.#refused.has(key)) this.#withdrawn.set(key, BigInt(revision));
  }

  /** Lets withdrawals take effect that `upTo` holds; answers with the keys that something was known of. */
  settle(upTo: ReadonlyMap<string, bigint>): readonly string[] {
    const gone: string[] = [];
    for (const [key, revision] of upTo) {
      if (this.#withdrawn.get(key) !== revision) continue;
      this.#withdrawn.delete(key);
      const wasRefused = this.#accept(key);
      if (wasRefused || this.#values.has(key)) gone.push(key);
      this.#replace(key, undefined);
    }
    return gone;
  }

  clear(): void {
    this.#values.clear();
    this.#refused.clear();
    this.#quarantined = undefined;
    this.#unlisted.clear();
    this.#withdrawn.clear();
    this.#weight = 0;
  }

  /** Whether it was refused until now. */
  #accept(key: string): boolean {
    const was = this.#refused.delete(key);
    if (was) this.#quarantined = undefined;
    return was;
  }

  #replace(key: string, value: T | undefined): void {
    const before = this.#values.get(key);
    const weigh = (each: T | undefined) => (each === undefined ? 0 : this.#options.weigh(each));
    this.#weight += weigh(value) - weigh(before);
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
  }
}
