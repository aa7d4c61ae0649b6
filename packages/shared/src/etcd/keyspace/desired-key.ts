/**
 * One key of a keyspace: what it shall be, what etcd was last known to hold for it, and how its writes went. Pure state;
 * the loop does the writing.
 */
import type { Backoff } from '../../process/backoff.ts';

/** What etcd holds for the key; `unknown` after a write without an answer, a lost lease, or foreign interference. */
type Held = { readonly kind: 'unknown' } | { readonly kind: 'held'; readonly value: Buffer | undefined };

const UNKNOWN: Held = { kind: 'unknown' };

export class DesiredKey {
  readonly key: string;
  /** Undefined: it shall not be there. */
  desired: Buffer | undefined;
  held: Held = UNKNOWN;
  /** Revision of our last write. */
  revision = 0n;
  busy = false;
  refused = false;
  retry: Backoff | undefined;
  cancelRetry: (() => void) | undefined;
  /** Goes up whenever what etcd holds becomes unknown, so that the answer to an earlier write proves nothing. */
  #epoch = 0;

  constructor(key: string, desired: Buffer | undefined) {
    this.key = key;
    this.desired = desired;
  }

  /** Changes with whatever makes an earlier look at etcd outdated. */
  get epoch(): number {
    return this.#epoch;
  }

  get settled(): boolean {
    return this.held.kind === 'held' && sameValue(this.held.value, this.desired);
  }

  /** etcd was seen to hold this. What is equal is not kept twice: a value from etcd keeps the whole message it came in. */
  found(value: Buffer | undefined): void {
    this.held = { kind: 'held', value: this.wants(value) ? this.desired : value };
  }

  wants(value: Buffer | undefined): boolean {
    return sameValue(this.desired, value);
  }

  forget(): void {
    this.held = UNKNOWN;
    this.#epoch++;
  }

  /** A write starts: until its answer nobody knows what etcd holds. Returns what to hand to `wrote`. */
  begin(): number {
    this.busy = true;
    this.forget();
    return this.#epoch;
  }

  wrote(attempt: number, value: Buffer | undefined, revision = this.revision): void {
    this.revision = revision;
    this.retry = undefined;
    if (attempt === this.#epoch) this.held = { kind: 'held', value };
  }
}

function sameValue(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}
