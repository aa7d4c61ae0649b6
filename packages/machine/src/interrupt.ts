/** Takes down what this process has started before SIGINT, SIGTERM or SIGHUP end it. */
import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const cleaners = new Set<() => Promise<void>>();
let interrupted = false;

/** Then whatever fails, fails because the mesh is being taken down. */
export const isInterrupted = (): boolean => interrupted;

/** Returns how to take it away again. */
export function onInterrupt(clean: () => Promise<void>): () => void {
  if (cleaners.size === 0) for (const signal of SIGNALS) process.on(signal, handle);
  cleaners.add(clean);
  return () => {
    cleaners.delete(clean);
    if (cleaners.size === 0 && !interrupted) for (const signal of SIGNALS) process.off(signal, handle);
  };
}

function handle(signal: NodeJS.Signals): void {
  if (interrupted) return; // A second Ctrl-C must not leave half of it behind.
  interrupted = true;
  void Promise.allSettled([...cleaners].map((clean) => clean())).then((outcomes) => {
    for (const outcome of outcomes) if (outcome.status === 'rejected') console.error(outcome.reason);
    process.exit(128 + constants.signals[signal]);
  });
}
