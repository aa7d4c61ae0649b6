/**
 * Spares the callers of a dead etcd their deadlines: after a few calls in a row without an answer, calls fail at once
 * for a moment, then a single one is let through to see. Only silence counts; a refusal by etcd is an answer. Readers
 * have none: each follows on its own backoff already.
 */
import CircuitBreaker from 'opossum';
import { EtcdError } from './errors.ts';

export class Breaker {
  readonly #circuit: CircuitBreaker<[() => Promise<unknown>], unknown>;
  #last: EtcdError | undefined;

  constructor(retryAfterMs = 1_000) {
    this.#circuit = new CircuitBreaker((call: () => Promise<unknown>) => call(), {
      timeout: false,
      volumeThreshold: 3,
      errorThresholdPercentage: 50,
      rollingCountTimeout: 5_000,
      rollingCountBuckets: 5,
      resetTimeout: retryAfterMs,
      errorFilter: (error: unknown) => !isSilence(error),
    });
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
      if (!CircuitBreaker.isOurError(error instanceof Error ? error : new Error(String(error)))) throw error;
      throw this.#last ?? new EtcdError('unavailable', 'etcd does not answer; calls wait for it to come back');
    }
    if (!outcome) throw new Error('Cannot finish a guarded call: expected an outcome: there is none');
    return outcome.value;
  }

  close(): void {
    this.#circuit.shutdown();
  }
}

function isSilence(error: unknown): error is EtcdError {
  return error instanceof EtcdError && error.kind === 'unavailable';
}
