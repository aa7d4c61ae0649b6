/** The seam of a keyspace: what callers may ask for, and what it tells of itself. Built by `openKeyspace`. */
export interface FailingKey {
  readonly reason: string;
  readonly attempts: number;
  /** Milliseconds on the keyspace's clock. */
  readonly since: number;
  /** It will not be tried again until it is set to another value (it is above etcd's size limit). */
  readonly refused: boolean;
}

export interface Keyspace {
  /** The key shall have this value. Setting the value that is already written does nothing. */
  set(key: string, value: Buffer | string): void;
  /** As `set`, and written again at once when somebody else changes or deletes it, and every few minutes anyway. */
  enforce(key: string, value: Buffer | string): void;
  /** The key shall not be there. */
  remove(key: string): void;
  /**
   * Deletes what is under the prefix and neither desired nor in `keep`: leftovers of an earlier life, of ours or of
   * etcd's. Writes again what somebody changed or deleted, or wrote under a lease of his own, with which it would go.
   * Call it only after the first complete listing of the source. Goes on until done; resolves with how many were
   * deleted; rejects only after `close`.
   */
  prune(prefix: string, keep?: ReadonlySet<string>): Promise<number>;
  /**
   * Resolves when everything queued so far, prunes included, is in etcd; refused keys (too large) are not waited for.
   * Rejects after `close`.
   */
  whenWritten(): Promise<void>;
  /** Writes and deletions that are not in etcd yet, refused ones aside. */
  readonly pending: number;
  readonly failing: ReadonlyMap<string, FailingKey>;
  /** Stops writing. What is in etcd stays there, and the writer stays open. */
  close(): void;
}
