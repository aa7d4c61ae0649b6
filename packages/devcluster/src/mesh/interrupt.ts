/** Takes a mesh down before SIGINT, SIGTERM or SIGHUP end this process. */
import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

let interrupted = false;

/** Then whatever fails, fails because the mesh is being taken down. */
export const isInterrupted = (): boolean => interrupted;

/** Returns how to take the handler away again. */
export function onInterrupt(clean: () => Promise<void>): () => void {
  let handled = false;
  const handle = (signal: NodeJS.Signals): void => {
    if (handled) return; // A second Ctrl-C must not leave half of it behind.
    handled = true;
    interrupted = true;
    clean()
      .catch((error: unknown) => console.error(error))
      .finally(() => process.exit(128 + constants.signals[signal]));
  };
  for (const signal of SIGNALS) process.on(signal, handle);
  return () => {
    if (!handled) for (const signal of SIGNALS) process.off(signal, handle);
  };
}
