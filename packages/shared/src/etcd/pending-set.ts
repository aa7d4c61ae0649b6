/** What is still to be done, since when, and who waits for what was there when they asked. */
export class PendingSet {
  readonly #since = new Map<string | symbol, number>();
  readonly #waiters = new Set<Waiter>();
  readonly #now: () => number;
  #closed: Error | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#since.size;
  }

  /** How long the oldest has waited, in ms. */
  get age(): number {
    for (const since of this.#since.values()) return this.#now() - since;
    return 0;
  }

  add(item: string | symbol): void {
    if (!this.#since.has(item)) this.#since.set(item, this.#now());
  }

  done(item: string | symbol): void {
    if (!this.#since.delete(item)) return;
    for (const waiter of this.#waiters) {
      if (!waiter.items.delete(item) || waiter.items.size > 0) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  /** Resolves when everything that is pending now was done. */
  whenDone(items: Iterable<string | symbol> = this.#since.keys()): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed);
    const waitedFor = new Set([...items].filter((item) => this.#since.has(item)));
    if (waitedFor.size === 0) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.add({ items: waitedFor, resolve, reject }));
  }

  close(reason: Error): void {
    this.#closed = reason;
    for (const { reject } of this.#waiters) reject(reason);
    this.#waiters.clear();
  }
}

interface Waiter {
  readonly items: Set<string | symbol>;
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}
