/** Which sources were heard completely at least once, and who waits for them. */
export class Gate<Name extends string> {
  readonly #doors = new Map<Name, PromiseWithResolvers<void>>();

  open(name: Name): void {
    this.#door(name).resolve();
  }

  /** Resolves when all are open, or when `signal` aborts. */
  async opened(names: readonly Name[], signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const aborted = Promise.withResolvers<void>();
    const onAbort = () => aborted.resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    await Promise.race([Promise.all(names.map((name) => this.#door(name).promise)), aborted.promise]);
    signal.removeEventListener('abort', onAbort);
  }

  #door(name: Name): PromiseWithResolvers<void> {
    const door = this.#doors.get(name) ?? Promise.withResolvers<void>();
    this.#doors.set(name, door);
    return door;
  }
}
