/** Backoff as a value: `delay` to wait now, `next` for the attempt after. Doubles up to a limit; jitter is handed in. */
export interface Backoff {
  readonly delay: number;
  next(): Backoff;
}

export interface BackoffOptions {
  readonly first: number;
  readonly limit: number;
  /** 0..1, drawn anew each time; the delay is multiplied by 0.5 + that. */
  readonly random?: () => number;
}

/** Delays in ms. */
export function backoff({ first, limit, random = Math.random }: BackoffOptions): Backoff {
  const at = (base: number): Backoff => ({
    delay: Math.round(Math.min(limit, base * (0.5 + random()))),
    next: () => at(Math.min(limit, base * 2)),
  });
  return at(first);
}
