/**
 * Long work in short slices: whatever else the process has to do goes between them. Work is asked for in steps, and
 * steps are taken for a few milliseconds a turn of the event loop. However many have long work, one of them runs a turn.
 */
const waiting: (() => void)[] = [];

/** Runs in a turn of the event loop of its own, after those that asked before. */
export function inTurn(run: () => void): void {
  waiting.push(run);
  if (waiting.length === 1) setImmediate(runFirst);
}

function runFirst(): void {
  const run = waiting.shift();
  if (waiting.length > 0) setImmediate(runFirst);
  run?.();
}

/** For long work that is not done by one of the below. */
export const nextTurn = (): Promise<void> => new Promise(inTurn);

export interface SlicedWorkOptions {
  /** Does one small piece; false when nothing is left to do. */
  readonly step: () => boolean;
  /** Called after each slice in which a step was taken. */
  readonly sliced?: () => void;
  /** How long a slice may last, in ms; a single step may take longer. Default 5. */
  readonly budgetMs?: number;
}

export class SlicedWork {
  readonly #options: SlicedWorkOptions;
  #isWaiting = false;

  constructor(options: SlicedWorkOptions) {
    this.#options = options;
  }

  /** There is something to do. All requests of one turn are one. */
  request(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    inTurn(() => {
      if (!this.#isWaiting) return;
      this.#isWaiting = false;
      if (this.slice()) this.request();
    });
  }

  /** Takes one slice now; true when there may be more to do. */
  slice(): boolean {
    const { step, sliced, budgetMs = 5 } = this.#options;
    const until = performance.now() + budgetMs;
    let taken = false;
    let more = step();
    while (more) {
      taken = true;
      if (performance.now() >= until) break;
      more = step();
    }
    if (taken) sliced?.();
    return more;
  }

  stop(): void {
    this.#isWaiting = false;
  }
}

/** One after another, for a few ms a turn; rejects when the signal aborts meanwhile. */
export async function inSlices<T>(
  items: Iterable<T>,
  work: (item: T) => void,
  signal?: AbortSignal,
  budgetMs = 4,
): Promise<void> {
  let until = performance.now() + budgetMs;
  for (const item of items) {
    signal?.throwIfAborted();
    work(item);
    if (performance.now() < until) continue;
    await nextTurn();
    until = performance.now() + budgetMs;
  }
  signal?.throwIfAborted();
}
