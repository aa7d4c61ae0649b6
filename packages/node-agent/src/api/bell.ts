/**
 * Waits for "something changed" without counting how often: any number of rings before the next wait are one. It holds
 * one listener of its source until closed.
 */
export class Bell {
  readonly #stop: () => void;
  #rung = false;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(subscribe: (listener: () => void) => () => void) {
    this.#stop = subscribe(() => {
      this.#rung = true;
      this.#wake?.();
    });
  }

  /** Resolves to true when it rang since the last time, to false when closed. One waiter at a time. */
  async next(): Promise<boolean> {
    if (!this.#rung && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    this.#rung = false;
    return !this.#closed;
  }

  close(): void {
    this.#closed = true;
    this.#stop();
    this.#wake?.();
  }
}
