/**
 * The time, in two kinds that must not be mixed up, and waiting: handed in, so that tests can move it. The system's
 * timers do not keep a process alive.
 */
export interface Clock {
  /** Ms from any origin; never goes back. For deciding. */
  now(): number;
  /** Ms since the epoch; jumps when somebody sets it. For people. */
  wallTime(): number;
  /** Returns what cancels it. At most 2³¹ − 1 ms. */
  after(ms: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`, or as soon as the signal aborts. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal.addEventListener('abort', end);
  });
}

/** Runs again and again, `ms` apart, until what it returns is called. */
export function every(clock: Clock, ms: number, run: () => void): () => void {
  let cancel = (): void => {};
  const next = (): void => {
    cancel = clock.after(ms, () => {
      next();
      run();
    });
  };
  next();
  return () => cancel();
}
