/** Opens a keyspace on a writer. */
import { type Clock, systemClock } from '../../process/clock.ts';
import { type Logger, silentLogger } from '../../process/logger.ts';
import type { EtcdWriter } from '../write/writer.ts';
import type { Keyspace } from './keyspace.ts';
import { KeyspaceLoop } from './keyspace-loop.ts';

export interface KeyspaceOptions {
  readonly logger?: Logger;
  /** Writes in flight; default 64. */
  readonly parallel?: number;
  readonly random?: () => number;
  readonly clock?: Clock;
}

export function openKeyspace(writer: EtcdWriter, options: KeyspaceOptions = {}): Keyspace {
  return new KeyspaceLoop(writer, {
    logger: options.logger ?? silentLogger,
    parallel: options.parallel ?? 64,
    random: options.random ?? Math.random,
    clock: options.clock ?? systemClock,
  });
}
