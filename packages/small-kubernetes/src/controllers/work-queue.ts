/**
 * Keys to look at again, each once however often it was marked. Works through them in the next turn of the event loop:
 * no timer, no write in the middle of somebody else's commit, and controllers that keep undoing each other's work do not
 * hold up everything else. What a key means is up to `reconcile`, which reads the present state and is safe to repeat.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';

export class WorkQueue {
  readonly #dirty = new Set<string>();
  readonly #reconcile: (key: string) => void;
  readonly #log: Logger;
  #closed = false;

  constructor(reconcile: (key: string) => void, log: Logger) {
    this.#reconcile = reconcile;
    this.#log = log;
  }

  mark(key: string): void {
    if (this.#dirty.size === 0 && !this.#closed) setImmediate(() => this.#work());
    this.#dirty.add(key);
  }

  close(): void {
    this.#closed = true;
    this.#dirty.clear();
  }

  #work(): void {
    const keys = [...this.#dirty];
    this.#dirty.clear();
    for (const key of keys) {
      if (this.#closed) return;
      try {
        this.#reconcile(key);
      } catch (error) {
        // The next change of the object marks it again.
        this.#log.warn({ error, key }, 'Cannot reconcile');
      }
    }
  }
}
