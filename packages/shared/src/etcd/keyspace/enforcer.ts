/**
 * Guards single keys of a keyspace: watches each, and has it written again when somebody else changed or deleted it. Two
 * that enforce different values on one key would fight without end, so a second repair within a second waits for the
 * second to pass.
 */
import { type Clock, sleep } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { retry } from '../../process/retry.ts';
import type { PrefixEvent } from '../read/reader.ts';
import type { EtcdWriter } from '../write/writer.ts';
import type { DesiredKey } from './desired-key.ts';

export interface EnforcerOptions {
  readonly logger: Logger;
  readonly clock: Clock;
}

const BETWEEN_REPAIRS_MS = 1_000;
const RETRY_WATCH_MS = 5_000;

interface Guard {
  readonly stop: AbortController;
  lastRepair: number;
  repairing: boolean;
}

export class Enforcer {
  readonly #writer: EtcdWriter;
  readonly #options: EnforcerOptions;
  readonly #rewrite: (item: DesiredKey) => void;
  readonly #guards = new Map<DesiredKey, Guard>();

  constructor(writer: EtcdWriter, options: EnforcerOptions, rewrite: (item: DesiredKey) => void) {
    this.#writer = writer;
    this.#options = options;
    this.#rewrite = rewrite;
  }

  watch(item: DesiredKey): void {
    item.enforced = true;
    if (this.#guards.has(item)) return;
    const guard: Guard = { stop: new AbortController(), lastRepair: -Infinity, repairing: false };
    this.#guards.set(item, guard);
    void this.#follow(item, guard.stop.signal);
  }

  forget(item: DesiredKey): void {
    item.enforced = false;
    this.#guards.get(item)?.stop.abort();
    this.#guards.delete(item);
  }

  close(): void {
    for (const item of [...this.#guards.keys()]) this.forget(item);
  }

  async #follow(item: DesiredKey, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    let problem = '';
    await retry(() => this.#writer.follow(item.key, (event) => this.#hear(item, event), signal), {
      ...{ signal, clock, first: RETRY_WATCH_MS, limit: RETRY_WATCH_MS },
      failed: (error) => {
        // Said once, and not at every try.
        logger[String(error) === problem ? 'debug' : 'warn']({ key: item.key, error }, 'key cannot be watched');
        problem = String(error);
      },
    });
  }

  /** Called for each thing heard of the key, and after each write of it. */
  check(item: DesiredKey): void {
    const guard = this.#guards.get(item);
    if (!guard || guard.repairing || item.busy || !item.drifted) return;
    this.#options.logger.warn({ key: item.key }, 'enforced key was changed by somebody else');
    void this.#repair(item, guard);
  }

  async #repair(item: DesiredKey, guard: Guard): Promise<void> {
    const { clock } = this.#options;
    const { signal } = guard.stop;
    const wait = guard.lastRepair + BETWEEN_REPAIRS_MS - clock.now();
    guard.repairing = true;
    if (wait > 0) await sleep(clock, wait, signal);
    guard.repairing = false;
    guard.lastRepair = clock.now();
    if (!signal.aborted) this.#rewrite(item);
  }

  /** The watch is on a prefix, so it may also hear of longer keys. */
  #hear(item: DesiredKey, event: PrefixEvent): void {
    if (event.kind === 'synced' || event.key !== item.key) return;
    item.see(event.kind === 'put' ? event.value : undefined, BigInt(event.revision));
    this.check(item);
  }
}
