/**
 * Keys to look at again, each once however often it was marked. Works through them right after the turn that marked
 * them (a microtask): no timer, and no write in the middle of somebody else's commit. What a key means is up to
 * `reconcile`, which reads the present state and is safe to repeat. Controllers that keep undoing each other's work
 * would hold up everything else for ever, so after many rounds in one turn the queue lets the event loop go first.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';

const MOST_ROUNDS_IN_A_TURN = 100;

export class WorkQueue {
  readonly #dirty = new Set<string>();
  readonly #reconcile: (key: string) => void;
  readonly #log: Logger;
  #scheduled = false;
  #rounds = 0;
  #closed = false;

  constructor(reconcile: (key: string) => void, log: Logger) {
    this.#reconcile = reconcile;
    this.#log = log;
  }

  mark(key: string): void {
    this.#dirty.add(key);
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    if (this.#rounds === 0) setImmediate(() => this.#newTurn());
    if (this.#rounds++ < MOST_ROUNDS_IN_A_TURN) queueMicrotask(() => this.#work());
  }

  close(): void {
    this.#closed = true;
    this.#dirty.clear();
  }

  #newTurn(): void {
    const late = this.#rounds > MOST_ROUNDS_IN_A_TURN;
    this.#rounds = 0;
    if (!late) return;
    this.#log.warn({ keys: [...this.#dirty] }, 'Controller does not come to rest');
    this.#work();
  }

  #work(): void {
    this.#scheduled = false;
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
