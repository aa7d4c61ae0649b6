/**
 * The seam between the Kubernetes room and the programs: absolute facts about one kind of object. Implementations
 * list, watch, relist after 410 Gone, and go on for ever; a broken API server removes nothing.
 */
export interface ChangeHandler<T> {
  /** The object under `key` now; `undefined` when a delete event or a complete new listing said that it is gone. */
  changed(key: string, value: T | undefined): void;
  /** After the first complete listing was handed over, and again after each relisting. */
  synced(): void;
  /** An object that cannot be used, with the reason. The last good value, if any, stays in force. */
  refused(key: string, reason: string): void;
}
