/**
 * Trying again: one loop for whatever may fail and must go on. Waits longer after each failure in a row; an attempt that
 * held for a while was good, whatever ended it.
 */
import { backoff } from './backoff.ts';
import { type Clock, sleep, systemClock } from './clock.ts';

export interface RetryOptions {
  /** Ends it; an attempt under way is left to its own use of the signal. */
  readonly signal: AbortSignal;
  /** Delays in ms: the first, and the longest. */
  readonly first: number;
  readonly limit: number;
  /** An attempt that lasted for so many ms held: the next delay is the first again. Default: none does. */
  readonly heldMs?: number;
  /** What came of an attempt that did not succeed: the error, or undefined when it asked for another. `delay` in ms. */
  readonly failed?: (error: unknown, delay: number) => void;
  /** Waits at least for so many ms after this error. */
  readonly atLeast?: (error: unknown) => number;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** The answer of an attempt that has ended and wants another. */
export const AGAIN = Symbol('again');

/** The answer of the first attempt that succeeds; undefined when the signal aborts before. */
export async function retry<T>(
  attempt: (signal: AbortSignal) => Promise<T | typeof AGAIN>,
  options: RetryOptions,
): Promise<T | undefined> {
  const { signal, clock = systemClock, heldMs = Number.POSITIVE_INFINITY, random = Math.random } = options;
  const shortest = backoff({ first: options.first, limit: options.limit, random });
  for (let wait = shortest; !signal.aborted; wait = wait.next()) {
    const started = clock.now();
    let error: unknown;
    try {
      const answer = await attempt(signal);
      if (answer !== AGAIN) return answer;
    } catch (cause) {
      error = cause;
    }
    if (signal.aborted) break;
    if (clock.now() - started >= heldMs) wait = shortest;
    const delay = Math.max(wait.delay, options.atLeast?.(error) ?? 0);
    options.failed?.(error, delay);
    await sleep(clock, delay, signal);
  }
  return undefined;
}

/** An error as a sentence. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
