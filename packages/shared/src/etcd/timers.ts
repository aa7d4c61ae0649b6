/** Clock and timers, handed in so that tests need not wait. The real ones do not keep a process alive. */
export interface Timers {
  /** Milliseconds from any origin; never goes back. */
  now(): number;
  /** Returns what cancels it. */
  after(ms: number, run: () => void): () => void;
  every(ms: number, run: () => void): () => void;
}

export const realTimers: Timers = {
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms).unref();
    return () => clearTimeout(timer);
  },
  every: (ms, run) => {
    const timer = setInterval(run, ms).unref();
    return () => clearInterval(timer);
  },
};
