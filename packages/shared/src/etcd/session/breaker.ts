/**
 * Whether etcd answers, as far as is known, and when to ask it again. After a call without an answer, calls fail at once
 * for a while, then a single one is let through to see; each that sees nothing doubles the while. Only silence counts: a
 * refusal by etcd is an answer.
 */
import CircuitBreaker from 'opossum';
import { type Backoff, backoff } from '../../process/backoff.ts';
import { Notifier } from '../../process/notifier.ts';
import { EtcdError, isSilence } from './errors.ts';

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
  #last: EtcdError | undefined;

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
    this.#circuit.on('open', () => this.#waitFor(this.#wait.next()));
    const changed = () => this.#changed.notify();
    this.#circuit.on('halfOpen', changed).on('close', changed).on('shutdown', changed);
  }

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#circuit.isShutdown) return call();
    let outcome: { readonly value: T } | undefined;
    try {
      await this.#circuit.fire(async () => {
        outcome = { value: await call() };
      });
    } catch (error) {
      if (isSilence(error)) this.#last = error;
      if (!(error instanceof Error) || !CircuitBreaker.isOurError(error)) throw error;
      throw this.#last ?? new EtcdError('unavailable', 'etcd does not answer; calls wait for it to come back');
    }
    if (!outcome) throw new Error('Cannot finish a guarded call: expected an outcome: there is none');
    return outcome.value;
  }

  /** Resolves when a call is let through, or the signal aborts. */
  async ready(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#circuit.enabled && !this.#circuit.closed && !this.#circuit.pendingClose) {
      await this.#changed.changed(this.#changed.version, signal);
    }
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
