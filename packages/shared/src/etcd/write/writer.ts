/**
 * The write side of the etcd room. Every put is attached to a pooled lease, so that what a dead program said ends by
 * itself after the lease's time to live. `close` revokes nothing and deletes nothing: a restart is not a withdrawal.
 */
import type { EtcdReader } from '../read/reader.ts';

export interface Listing {
  readonly revision: string;
  /** Sorted by key. */
  readonly entries: ReadonlyMap<string, Buffer>;
  /** Those of them that hang on a lease which is not of this writer, or on none: it does not keep them alive. */
  readonly foreign: ReadonlySet<string>;
}

/** All promises settle within a deadline: a dead etcd gives an `EtcdError`, never a hanging call. */
export interface EtcdWriter extends EtcdReader {
  /** Resolves with the revision of the write. */
  put(key: string, value: Buffer | string): Promise<string>;
  /** Resolves with whether the key was there. */
  delete(key: string): Promise<boolean>;
  list(prefix: string): Promise<Listing>;
  /** Keys whose lease etcd no longer knows (it expired, or etcd was emptied): they are gone and want rewriting. */
  onKeysLost(listener: (keys: readonly string[]) => void): void;
  /** How many leases are held now. */
  readonly leases: number;
}
