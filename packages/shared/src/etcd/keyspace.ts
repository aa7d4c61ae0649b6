/**
 * Desired state of our part of an etcd. Callers say what should be there; the keyspace writes the difference, retries,
 * and writes again what etcd lost. It removes only what it was told to remove, and leftovers only in `prune`.
 */
import type { Health } from '../process/health.ts';
import { type Logger, silentLogger } from '../process/logger.ts';
import { KeyspaceLoop } from './keyspace-loop.ts';
import { realTimers, type Timers } from './timers.ts';
import type { EtcdWriter } from './writer.ts';

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
   * Deletes what is under the prefix and neither desired nor in `keep`: leftovers of an earlier life. Call it only
   * after the first complete listing of the source. Goes on until done; resolves with how many; rejects only after `close`.
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
  /** `degraded` when writes fail, are refused, or wait for too long. */
  readonly health: Health;
  /** Stops writing. What is in etcd stays there, and the writer stays open. */
  close(): void;
}

export interface KeyspaceOptions {
  readonly logger?: Logger;
  /** Writes in flight; default 64. */
  readonly parallel?: number;
  /** How often enforced keys are written anyway; default 300,000. */
  readonly refreshMs?: number;
  readonly random?: () => number;
  readonly timers?: Timers;
}

export function openKeyspace(writer: EtcdWriter, options: KeyspaceOptions = {}): Keyspace {
  return new KeyspaceLoop(writer, {
    logger: options.logger ?? silentLogger,
    parallel: options.parallel ?? 64,
    refreshMs: options.refreshMs ?? 300_000,
    random: options.random ?? Math.random,
    timers: options.timers ?? realTimers,
  });
}
