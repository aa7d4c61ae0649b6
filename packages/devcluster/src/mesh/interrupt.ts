/** Takes a mesh down before SIGINT, SIGTERM or SIGHUP end this process. */
import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Returns how to take the handler away again. */
export function onInterrupt(clean: () => Promise<void>): () => void {
  let interrupted = false;
  const handle = (signal: NodeJS.Signals): void => {
    if (interrupted) return; // A second Ctrl-C must not leave half of it behind.
    interrupted = true;
    clean()
      .catch((error: unknown) => console.error(error))
      .finally(() => process.exit(128 + constants.signals[signal]));
  };
  for (const signal of SIGNALS) process.on(signal, handle);
  return () => {
    if (!interrupted) for (const signal of SIGNALS) process.off(signal, handle);
  };
}
