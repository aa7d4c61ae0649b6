/** Several long tasks that live and die together. */

/** A signal of its own, which also aborts with its parent. Abort it when done: that detaches it from the parent. */
export function childOf(parent: AbortSignal): AbortController {
  const child = new AbortController();
  if (parent.aborted) child.abort(parent.reason);
  parent.addEventListener('abort', () => child.abort(parent.reason), { once: true, signal: child.signal });
  return child;
}

export type Task = (signal: AbortSignal) => Promise<void>;

/**
 * Runs all tasks until the signal aborts or the first of them ends, then aborts the others and waits for them. Answers
 * with the error that ended it; undefined when nothing failed.
 */
export async function runTogether(tasks: readonly Task[], signal: AbortSignal): Promise<unknown> {
  const together = childOf(signal);
  const failures: unknown[] = [];
  const run = async (task: Task): Promise<void> => {
    try {
      await task(together.signal);
    } catch (error) {
      if (!together.signal.aborted) failures.push(error);
    } finally {
      together.abort();
    }
  };
  await Promise.all(tasks.map(run));
  return failures[0];
}

/** For tasks that wait for nothing but their end. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Wakes whoever waits. Take `next()` before looking at the condition, and no ring is missed. */
export class Bell {
  #waiting = Promise.withResolvers<void>();

  next(): Promise<void> {
    return this.#waiting.promise;
  }

  ring(): void {
    this.#waiting.resolve();
    this.#waiting = Promise.withResolvers<void>();
  }
}
