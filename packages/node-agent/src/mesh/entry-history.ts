/**
 * Tells whether an etcd shows an older state than before, as one does that was restored from a snapshot: then what it
 * lacks is not gone. Its canary is one of before, too, and vouches for nothing newer; an etcd that was emptied and filled
 * again has one that was never seen. No I/O.
 */
import type { PrefixEvent } from '@tombolo/shared/etcd/read/reader.ts';

/** Some hours' worth: a canary is written every few minutes. */
const MOST_CANARIES = 100;

export interface Canary {
  readonly value: Buffer;
  readonly revision: string;
}

export class EntryHistory {
  readonly #canaries = new Set<string>();
  /** Of all that was heard, since a canary was new. */
  #newest = 0n;
  /** A withdrawal before it is one of a listing. */
  #deletesFrom = 0n;
  #isOutdated = false;

  /** A listing was of an older state, and nothing newer has been vouched for since. */
  get isOutdated(): boolean {
    return this.#isOutdated;
  }

  /** Before a listing, which a canary that is new vouches for, whatever it is, and an old one not after an older state. */
  begin(canary: Canary): void {
    if (this.isNews(canary)) {
      this.#newest = 0n;
      this.#isOutdated = false;
    }
    this.#deletesFrom = this.#newest;
    this.note(canary);
  }

  isNews(canary: Canary): boolean {
    return !this.#canaries.has(textOf(canary));
  }

  note(canary: Canary): void {
    this.#canaries.add(textOf(canary));
    for (const oldest of this.#canaries) if (this.#canaries.size > MOST_CANARIES) this.#canaries.delete(oldest);
  }

  /** Whether the event comes of a listing of an older state. To be told all events, in order. */
  wentBack({ kind, revision: text }: PrefixEvent): boolean {
    const revision = BigInt(text);
    const isBack = kind !== 'put' && revision < (kind === 'delete' ? this.#deletesFrom : this.#newest);
    if (isBack) this.#isOutdated = true;
    if (revision > this.#newest) this.#newest = revision;
    if (!this.#isOutdated) this.#deletesFrom = this.#newest;
    else if (kind === 'synced') this.#deletesFrom = revision + 1n;
    return isBack;
  }
}

const textOf = ({ value, revision }: Canary): string => `${revision} ${value}`;
