/**
 * Publishes the table once for all events of one turn of the event loop: a burst that arrives together is merged
 * together, and a single event waits for no timer.
 */
export class Publisher {
  readonly #publish: () => void;
  #scheduled = false;

  constructor(publish: () => void) {
    this.#publish = publish;
  }

  /** Something changed. */
  request(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#publish();
    });
  }
}
