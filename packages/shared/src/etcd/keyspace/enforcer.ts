/**
 * Guards one key of a keyspace: watches it, and has it written again when somebody else changed or deleted it. Two that
 * enforce different values on one key would fight without end, so there is one repair a second at the most.
 */
import { type Clock, sleep } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { childOf, Notifier } from '../../process/notifier.ts';
import { retry } from '../../process/retry.ts';
import type { EtcdWriter } from '../write/writer.ts';
import type { DesiredKey } from './desired-key.ts';

export interface EnforcerOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Stops it, as `stop` does. */
  readonly signal: AbortSignal;
  readonly rewrite: () => void;
}

const BETWEEN_REPAIRS_MS = 1_000;
const RETRY_WATCH_MS = 5_000;

export class Enforcer {
  readonly #item: DesiredKey;
  readonly #options: EnforcerOptions;
  readonly #stop: AbortController;
  readonly #checks = new Notifier();
  /** The newest thing that the watch said. */
  #seen: { readonly value: Buffer | undefined; readonly revision: bigint } | undefined;

  constructor(item: DesiredKey, writer: EtcdWriter, options: EnforcerOptions) {
    this.#item = item;
    this.#options = options;
    this.#stop = childOf(options.signal);
    void this.#watch(writer, this.#stop.signal);
    void this.#repair(this.#stop.signal);
  }

  /** To be called after each write of the key. */
  check(): void {
    this.#checks.notify();
  }

  stop(): void {
    this.#stop.abort();
  }

  async #watch(writer: EtcdWriter, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    const { key } = this.#item;
    let problem = '';
    const follow = () =>
      writer.follow(
        key,
        (event) => {
          // The watch is on a prefix, so it may also hear of longer keys.
          if (event.kind === 'synced' || event.key !== key) return;
          this.#seen = { value: event.kind === 'put' ? event.value : undefined, revision: BigInt(event.revision) };
          this.check();
        },
        signal,
      );
    await retry(follow, {
      ...{ signal, clock, first: RETRY_WATCH_MS, limit: RETRY_WATCH_MS },
      failed: (error) => {
        // Said once, and not at every try.
        logger[String(error) === problem ? 'debug' : 'warn']({ key, error }, 'key cannot be watched');
        problem = String(error);
      },
    });
  }

  async #repair(signal: AbortSignal): Promise<void> {
    const { clock, logger, rewrite } = this.#options;
    while (!signal.aborted) {
      const { version } = this.#checks;
      if (this.#isDrifted()) {
        logger.warn({ key: this.#item.key }, 'enforced key was changed by somebody else');
        rewrite();
        await sleep(clock, BETWEEN_REPAIRS_MS, signal);
      } else {
        await this.#checks.changed(version, signal);
      }
    }
  }

  /** Somebody else changed or deleted it after our last write. */
  #isDrifted(): boolean {
    const [item, seen] = [this.#item, this.#seen];
    return item.settled && seen !== undefined && seen.revision > item.revision && !item.wants(seen.value);
  }
}
