/**
 * The write side of the etcd room. Every put is attached to a pooled lease, so that what a dead program said ends by
 * itself after the lease's time to live. `close` revokes nothing and deletes nothing: a restart is not a withdrawal.
 */
import type { EtcdReader } from '../read/reader.ts';
import type { Fence } from './fence.ts';

/** What is under a prefix. */
export interface LeasedEntries {
  /** Sorted by key. */
  readonly entries: ReadonlyMap<string, Buffer>;
  /** Those of them that hang on a lease which is not of this writer, or on none: it does not keep them alive. */
  readonly foreign: ReadonlySet<string>;
}

/** All promises settle within a deadline unless they say otherwise: a dead etcd gives an `EtcdError`, not a hanging call. */
export interface EtcdWriter extends EtcdReader {
  /** What all writes depend on; undefined when none was asked for. */
  readonly fence: Fence | undefined;
  /** Resolves with the revision of the write. */
  put(key: string, value: Buffer | string): Promise<string>;
  /** Resolves with whether the key was there. */
  delete(key: string): Promise<boolean>;
  list(prefix: string): Promise<LeasedEntries>;
  /**
   * As `list`, and keeps alive from now on what hangs on a lease, whose ever it is. Nothing under the prefix must be
   * written meanwhile.
   */
  adopt(prefix: string): Promise<LeasedEntries>;
  /**
   * Writes a key which says that others are there, and goes on writing it: at every moment it ends before all keys that
   * were `put` or adopted. Resolves when it is written, or the signal aborts; before it does, `retract` it.
   */
  vouch(key: string, value: string, signal: AbortSignal): Promise<void>;
  retract(key: string): void;
  /** Keys whose lease etcd no longer knows (it expired, or etcd was emptied): they are gone and want rewriting. */
  onKeysLost(listener: (keys: readonly string[]) => void): void;
  /** Resolves when a write is worth trying, as far as is known, or the signal aborts. */
  ready(signal: AbortSignal): Promise<void>;
  /** How many leases are held now. */
  readonly leases: number;
}
