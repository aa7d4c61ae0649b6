/**
 * Desired state of our part of an etcd: the seam. Built by `openKeyspace`.
 */
export interface FailingKey {
  readonly reason: string;
  readonly attempts: number;
  /** Milliseconds on the keyspace's clock. */
  readonly since: number;
  /** It will not be tried again until it is set to another value (it is above etcd's size limit). */
  readonly refused: boolean;
}

/**
 * Callers say what should be there; the keyspace writes the difference, retries, and writes again what etcd lost. It
 * removes only what it was told to remove, and leftovers only in `prune`.
 */
export interface Keyspace {
  /** The key shall have this value. Setting the value that is already written does nothing. */
  set(key: string, value: Buffer | string): void;
  /** As `set`, and written again at once when somebody else changes or deletes it. */
  enforce(key: string, value: Buffer | string): void;
  /** The key shall not be there. */
  remove(key: string): void;
  /**
   * Takes over what is in etcd under the prefix: leases are kept alive, and what is found there as it shall be, now or
   * once it is set, is not written. Deletes nothing. Goes on until done; resolves with what was found; rejects only
   * after `close`.
   */
  adopt(prefix: string): Promise<ReadonlyMap<string, Buffer>>;
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
  /** Writes nothing until `release`; what is to be written is remembered. */
  hold(): void;
  release(): void;
  /** Writes and deletions that are not in etcd yet, refused ones aside. */
  readonly pending: number;
  readonly failing: ReadonlyMap<string, FailingKey>;
  /** Stops writing. What is in etcd stays there, and the writer stays open. */
  close(): void;
}
