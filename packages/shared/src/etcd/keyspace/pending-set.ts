/** What is still to be done, and who waits for what was there when they asked. */
export class PendingSet {
  readonly #items = new Set<string | symbol>();
  readonly #waiters = new Set<Waiter>();
  #closed: Error | undefined;

  get size(): number {
    return this.#items.size;
  }

  add(item: string | symbol): void {
    this.#items.add(item);
  }

  done(item: string | symbol): void {
    if (!this.#items.delete(item)) return;
    for (const waiter of this.#waiters) {
      if (!waiter.items.delete(item) || waiter.items.size > 0) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  /** Resolves when everything that is pending now was done. */
  whenDone(items: Iterable<string | symbol> = this.#items): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed);
    const waitedFor = new Set([...items].filter((item) => this.#items.has(item)));
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
