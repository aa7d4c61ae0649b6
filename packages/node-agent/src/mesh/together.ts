/** Several long tasks that live and die together. */
import { childOf } from '@tombolo/shared/process/notifier.ts';

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
