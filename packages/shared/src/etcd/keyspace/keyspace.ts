/**
 * Desired state of our part of an etcd. Callers say what should be there; the keyspace writes the difference, retries,
 * and writes again what etcd lost. It removes only what it was told to remove, and leftovers only in `prune`.
 */
import { type Logger, silentLogger } from '../../process/logger.ts';
import type { EtcdWriter } from '../write/writer.ts';
import type { Keyspace } from './desired-state.ts';
import { KeyspaceLoop } from './keyspace-loop.ts';
import { realTimers, type Timers } from './timers.ts';

export type { FailingKey, Keyspace } from './desired-state.ts';

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
