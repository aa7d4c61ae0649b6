/**
 * What all controllers are: they follow tables of the store, mark the keys of what may have to change, and look at each
 * again, once, in the next turn of the event loop. So no timer, no write in the middle of somebody else's commit, and
 * controllers that keep undoing each other's work do not hold up everything else.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { Operations } from '../api/operations.ts';
import type { ChangeListener, Store } from '../api/store.ts';

export abstract class Controller {
  protected readonly operations: Operations;
  protected readonly store: Store;
  readonly #log: Logger;
  readonly #dirty = new Set<string>();
  readonly #stops: (() => void)[] = [];
  #closed = false;

  constructor(operations: Operations, log: Logger) {
    this.operations = operations;
    this.store = operations.store;
    this.#log = log.child({ controller: this.constructor.name });
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#closed = true;
  }

  protected follow(table: string, listener: ChangeListener): void {
    this.#stops.push(this.store.subscribe(table, listener));
  }

  protected mark(key: string): void {
    if (this.#dirty.size === 0) setImmediate(() => this.#work());
    this.#dirty.add(key);
  }

  /** Makes right what belongs to a key, by the present state; safe to repeat. */
  protected abstract reconcile(key: string): void;

  #work(): void {
    const keys = [...this.#dirty];
    this.#dirty.clear();
    for (const key of keys) {
      if (this.#closed) return;
      try {
        this.reconcile(key);
      } catch (error) {
        // The next change of the object marks it again.
        this.#log.warn({ error, key }, 'Cannot reconcile');
      }
    }
  }
}
