/** When a stream of changes has something to look at. */
import { Notifier } from '@tombolo/shared/process/notifier.ts';

/**
 * Yields at once, and again after each change; any number of changes between two looks are one. Ends, and takes its
 * listener off, when the signal aborts.
 */
export async function* rounds(
  subscribe: (listener: () => void) => () => void,
  signal: AbortSignal,
): AsyncGenerator<void> {
  const changes = new Notifier();
  signal.addEventListener(
    'abort',
    subscribe(() => changes.notify()),
    { once: true },
  );
  while (!signal.aborted) {
    const seen = changes.version;
    yield;
    await changes.changed(seen, signal);
  }
}
