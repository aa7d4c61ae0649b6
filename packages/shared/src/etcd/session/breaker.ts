/**
 * Whether etcd answers, as far as is known, and when to ask it again. After a call without an answer, calls fail at once
 * for a while, then a single one is let through to see; each that sees nothing doubles the while. Only silence counts: a
 * refusal by etcd is an answer.
 */
import CircuitBreaker from 'opossum';
import { type Backoff, backoff } from '../../process/backoff.ts';
import { Notifier } from '../../process/notifier.ts';
import { isSilence } from './errors.ts';

export interface BreakerOptions {
  /** Ms until the first call is let through, and the longest that it comes to. */
  readonly first: number;
  readonly limit: number;
  readonly random: () => number;
}

export class Breaker {
  readonly #circuit: CircuitBreaker<[() => Promise<unknown>], unknown>;
  readonly #shortest: Backoff;
  readonly #settings: CircuitBreaker.Options<[() => Promise<unknown>]>;
  readonly #changed = new Notifier();
  #wait: Backoff;
  /** What the last call without an answer failed with. */
  #silence: Error | undefined;

  constructor(options: BreakerOptions) {
    this.#shortest = backoff(options);
    this.#wait = this.#shortest;
    this.#settings = {
      timeout: false,
      errorThresholdPercentage: 0,
      rollingCountBuckets: 1,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      resetTimeout: this.#wait.delay,
      errorFilter: (error: unknown) => !isSilence(error),
    };
    this.#circuit = new CircuitBreaker((call: () => Promise<unknown>) => call(), this.#settings);
    this.#circuit.on('failure', (error) => {
      this.#silence = error;
    });
    this.#circuit.on('open', () => this.#waitFor(this.#wait.next()));
    const changed = () => this.#changed.notify();
    this.#circuit.on('halfOpen', changed).on('close', changed).on('shutdown', changed);
  }

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#circuit.isShutdown) return call();
    const answer = Promise.withResolvers<T>();
    try {
      await this.#circuit.fire(async () => answer.resolve(await call()));
    } catch (error) {
      throw error instanceof Error && CircuitBreaker.isOurError(error) ? this.#silence : error;
    }
    return answer.promise;
  }

  /** Resolves when a call is let through, or the signal aborts. */
  ready(signal: AbortSignal): Promise<void> {
    const circuit = this.#circuit;
    return this.#changed.until(() => !circuit.enabled || circuit.closed || circuit.pendingClose, signal);
  }

  /** etcd was heard, by whatever way. */
  heard(): void {
    this.#waitFor(this.#shortest);
    this.#circuit.close();
  }

  close(): void {
    this.#circuit.shutdown();
  }

  /** The circuit looks at this setting each time that it opens. */
  #waitFor(wait: Backoff): void {
    this.#wait = wait;
    this.#settings.resetTimeout = wait.delay;
  }
}
