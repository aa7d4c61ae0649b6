/**
 * "Something changed", for any number of waiters: each remembers the version that it has looked at, so that no change is
 * missed and several are one.
 */
import { type Clock, sleep } from './clock.ts';

export class Notifier {
  #version = 0;
  #changed = Promise.withResolvers<void>();

  get version(): number {
    return this.#version;
  }

  notify(): void {
    this.#version++;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /**
   * Resolves when there is a version after `seen`, or the signal aborts. Take `version` before looking at what it is
   * about.
   */
  async changed(seen: number, signal: AbortSignal): Promise<void> {
    if (this.#version > seen || signal.aborted) return;
    const aborted = Promise.withResolvers<void>();
    const abort = (): void => aborted.resolve();
    signal.addEventListener('abort', abort, { once: true });
    await Promise.race([this.#changed.promise, aborted.promise]);
    signal.removeEventListener('abort', abort);
  }

  /** Resolves when it holds, which is asked again at each change, or the signal aborts. */
  async until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !holds()) await this.changed(this.#version, signal);
  }

  /** As `changed`, but for `ms` at the most. */
  async changedWithin(seen: number, ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
    if (this.#version > seen || signal.aborted) return;
    const waiting = childOf(signal);
    await Promise.race([this.changed(seen, waiting.signal), sleep(clock, ms, waiting.signal)]);
    waiting.abort();
  }
}

/** A signal of its own, which also aborts with each parent. Abort it when done: that detaches it from them. */
export function childOf(...parents: readonly AbortSignal[]): AbortController {
  const child = new AbortController();
  for (const parent of parents) {
    if (parent.aborted) child.abort(parent.reason);
    parent.addEventListener('abort', () => child.abort(parent.reason), { once: true, signal: child.signal });
  }
  return child;
}

/** For those who wait for nothing but the end. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
