/** Waiting for a condition that nothing announces: asks again until it holds or the deadline has passed. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Resolves with the first value of `check` that is neither undefined nor false. An error from `check` counts as "not
 * yet"; the last one is the cause when time runs out.
 */
export async function waitUntil<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  { timeoutMs = 30_000, everyMs = 25, signal }: WaitOptions = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    let cause: unknown;
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) {
      const detail = cause instanceof Error ? `: ${cause.message}` : '';
      throw new Error(`Cannot go on: waited ${timeoutMs} ms for ${what}${detail}`, { cause });
    }
    await sleep(everyMs, undefined, signal && { signal });
  }
}

/** As `Promise.all`, but when one fails it waits for the others before it says so: nothing goes on unseen. */
export async function allDone(work: readonly Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(work)) if (outcome.status === 'rejected') throw outcome.reason;
}
