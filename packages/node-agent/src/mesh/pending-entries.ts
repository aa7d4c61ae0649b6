/**
 * What was heard of the entries of one kind and not decoded yet: the last word for each key. No I/O and no clock.
 *
 * P1. A superseded value is never handed out. Of what is handed out, each key has its newest.
 * P2. The end of a listing is handed out after everything that was heard before it.
 * P3. A large value is dear, and so is what follows from it: after one, its key rests for a time in proportion to its size,
 *     so that one key that changes without end takes a fortieth of the time at the most. The first change of a key that
 *     rested is handed out at once.
 */
import type { PrefixEvent } from '@tombolo/shared/etcd/read/reader.ts';

export type EntryEvent = Extract<PrefixEvent, { readonly key: string }>;
export type ListingEnd = Extract<PrefixEvent, { readonly kind: 'synced' }>;

/** Taking in 10,000 backends, of 55 bytes at least, and bringing the kernel to them may cost 25 ms: forty times that. */
const REST_MS_PER_BYTE = 1_000 / 550_000;
/** Shorter rests are not worth a timer. */
const SHORTEST_REST_MS = 20;

export const restAfter = (bytes: number): number => {
  const rest = bytes * REST_MS_PER_BYTE;
  return rest < SHORTEST_REST_MS ? 0 : rest;
};

interface Pending {
  event: EntryEvent;
  /** Heard before the end of the listing that is waited for. */
  beforeEnd: boolean;
}

export class PendingEntries {
  readonly #ready = new Map<string, Pending>();
  /** Those whose key rests. */
  readonly #held = new Map<string, Pending>();
  /** Until when a key rests. */
  readonly #rests = new Map<string, number>();
  #nextAt = Number.POSITIVE_INFINITY;
  #end: ListingEnd | undefined;
  /** How many must be handed out before `#end` is. */
  #before = 0;

  add(event: PrefixEvent): void {
    if (event.kind === 'synced') {
      this.#end = event;
      for (const pending of [...this.#ready.values(), ...this.#held.values()]) pending.beforeEnd = true;
      this.#before = this.#ready.size + this.#held.size;
      return;
    }
    const known = this.#ready.get(event.key) ?? this.#held.get(event.key);
    if (known) known.event = event;
    else this.#ready.set(event.key, { event, beforeEnd: false });
  }

  /** The next that may be looked at now; undefined when there is none. */
  take(now: number): PrefixEvent | undefined {
    if (now >= this.#nextAt) this.#endRests(now);
    for (const [key, pending] of this.#ready) {
      if (this.#end && this.#before === 0) break;
      this.#ready.delete(key);
      const until = this.#rests.get(key) ?? 0;
      if (until > now) {
        this.#held.set(key, pending);
        continue;
      }
      if (pending.beforeEnd) this.#before--;
      this.#rest(key, pending.event, now);
      return pending.event;
    }
    return this.#before === 0 ? this.#takeEnd() : undefined;
  }

  /** When there will be something to take, although there is nothing now. */
  get nextAt(): number | undefined {
    return this.#held.size > 0 ? this.#nextAt : undefined;
  }

  #takeEnd(): ListingEnd | undefined {
    const end = this.#end;
    this.#end = undefined;
    return end;
  }

  #rest(key: string, event: EntryEvent, now: number): void {
    const rest = event.kind === 'put' ? restAfter(event.value.length) : 0;
    if (rest === 0) return;
    this.#rests.set(key, now + rest);
    this.#nextAt = Math.min(this.#nextAt, now + rest);
  }

  #endRests(now: number): void {
    this.#nextAt = Number.POSITIVE_INFINITY;
    for (const [key, until] of this.#rests) {
      if (until > now) {
        this.#nextAt = Math.min(this.#nextAt, until);
        continue;
      }
      this.#rests.delete(key);
      const pending = this.#held.get(key);
      if (pending) this.#ready.set(key, pending);
      this.#held.delete(key);
    }
  }
}
