/** What all controllers are: they follow tables of the store, mark what may have to change, and look at it again. */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { Operations } from '../api/operations.ts';
import type { ChangeListener, Store } from '../api/store.ts';
import { WorkQueue } from './work-queue.ts';

export abstract class Controller {
  protected readonly operations: Operations;
  protected readonly store: Store;
  readonly #queue: WorkQueue;
  readonly #stops: (() => void)[] = [];

  constructor(operations: Operations, log: Logger) {
    this.operations = operations;
    this.store = operations.store;
    this.#queue = new WorkQueue((key) => this.reconcile(key), log.child({ controller: this.constructor.name }));
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#queue.close();
  }

  protected follow(table: string, listener: ChangeListener): void {
    this.#stops.push(this.store.subscribe(table, listener));
  }

  protected mark(key: string): void {
    this.#queue.mark(key);
  }

  /** Makes right what belongs to a key, by the present state; safe to repeat. */
  protected abstract reconcile(key: string): void;
}
