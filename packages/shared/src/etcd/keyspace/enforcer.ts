/**
 * Guards single keys of a keyspace: watches each, has it written again when somebody else changed or deleted it, and
 * every few minutes anyway, which also puts it back on a lease of ours. Two that enforce different values on one key
 * would fight without end, so a second repair within a second waits for the second to pass.
 */
import type { Logger } from '../../process/logger.ts';
import type { PrefixEvent } from '../read/reader.ts';
import type { EtcdWriter } from '../write/writer.ts';
import type { DesiredKey } from './desired-key.ts';
import { pause, type Timers } from './timers.ts';

export interface EnforcerOptions {
  readonly logger: Logger;
  readonly refreshMs: number;
  readonly timers: Timers;
}

const BETWEEN_REPAIRS_MS = 1_000;
const RETRY_WATCH_MS = 5_000;

interface Guard {
  readonly stop: AbortController;
  lastRepair: number;
  cancelRepair: (() => void) | undefined;
  /** Why it could not be watched the last time: said once, and not at every try. */
  problem: string;
}

export class Enforcer {
  readonly #writer: EtcdWriter;
  readonly #options: EnforcerOptions;
  readonly #rewrite: (item: DesiredKey) => void;
  readonly #guards = new Map<DesiredKey, Guard>();
  readonly #cancelRefresh: () => void;

  constructor(writer: EtcdWriter, options: EnforcerOptions, rewrite: (item: DesiredKey) => void) {
    this.#writer = writer;
    this.#options = options;
    this.#rewrite = rewrite;
    this.#cancelRefresh = options.timers.every(options.refreshMs, () => {
      for (const item of this.#guards.keys()) if (!item.refused) rewrite(item);
    });
  }

  watch(item: DesiredKey): void {
    item.enforced = true;
    if (this.#guards.has(item)) return;
    const guard: Guard = { stop: new AbortController(), lastRepair: -Infinity, cancelRepair: undefined, problem: '' };
    this.#guards.set(item, guard);
    void this.#follow(item, guard);
  }

  forget(item: DesiredKey): void {
    item.enforced = false;
    const guard = this.#guards.get(item);
    guard?.stop.abort();
    guard?.cancelRepair?.();
    this.#guards.delete(item);
  }

  close(): void {
    this.#cancelRefresh();
    for (const item of [...this.#guards.keys()]) this.forget(item);
  }

  async #follow(item: DesiredKey, guard: Guard): Promise<void> {
    const { signal } = guard.stop;
    while (!signal.aborted) {
      try {
        await this.#writer.follow(item.key, (event) => this.#hear(item, event), signal);
      } catch (error) {
        if (signal.aborted) return;
        const level = String(error) === guard.problem ? 'debug' : 'warn';
        this.#options.logger[level]({ key: item.key, error }, 'enforced key cannot be watched, only refreshed');
        guard.problem = String(error);
        await pause(this.#options.timers, RETRY_WATCH_MS, signal);
      }
    }
  }

  /** Called for each thing heard of the key, and after each write of it. */
  check(item: DesiredKey): void {
    const guard = this.#guards.get(item);
    if (!guard || guard.cancelRepair || item.busy || !item.drifted) return;
    const { timers, logger } = this.#options;
    logger.warn({ key: item.key }, 'enforced key was changed by somebody else');
    const wait = guard.lastRepair + BETWEEN_REPAIRS_MS - timers.now();
    const repair = () => {
      guard.cancelRepair = undefined;
      guard.lastRepair = timers.now();
      this.#rewrite(item);
    };
    if (wait <= 0) repair();
    else guard.cancelRepair = timers.after(wait, repair);
  }

  /** The watch is on a prefix, so it may also hear of longer keys. */
  #hear(item: DesiredKey, event: PrefixEvent): void {
    if (event.kind === 'synced' || event.key !== item.key) return;
    item.see(event.kind === 'put' ? event.value : undefined, BigInt(event.revision));
    this.check(item);
  }
}
