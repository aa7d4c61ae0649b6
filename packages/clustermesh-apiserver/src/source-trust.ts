/**
 * What this cluster may be said to be: nothing is written, and nothing taken away, before its sources were heard
 * completely and are known to be followed still. Somebody who lost the Kubernetes API and became the one that writes
 * would otherwise bring back what others had deleted meanwhile.
 */
import type { Clock } from '@tombolo/shared/process/clock.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import { Notifier } from '@tombolo/shared/process/notifier.ts';
import type { Need } from './kinds.ts';

/** A watch whose API server has vanished without a word has noticed it by then. */
const NOTICED_MS = 30_000;
const LOOK_MS = 1_000;

export class SourceTrust {
  readonly #clock: Clock;
  readonly #changed = new Notifier();
  readonly #complete = new Set<Need>();
  /** Since when each of them works; undefined while it does not. */
  readonly #worksSince = new Map<Need, number>();
  /** When the API last left a question without an answer. */
  #unansweredAt = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  complete(source: Need): void {
    this.#complete.add(source);
    this.#changed.notify();
  }

  report(source: Need, health: Health): void {
    if (health.kind === 'ok') this.#worksSince.set(source, this.#clock.now());
    else this.#worksSince.delete(source);
    this.#changed.notify();
  }

  /** The API server, asked something else, did not answer. */
  unanswered(): void {
    this.#unansweredAt = this.#clock.now();
  }

  has(sources: readonly Need[]): boolean {
    const now = this.#clock.now();
    return sources.every((source) => {
      // Of what an earlier life left in etcd one look is enough.
      if (source === 'identities') return this.#complete.has(source);
      const since = this.#worksSince.get(source);
      if (!this.#complete.has(source) || since === undefined) return false;
      return since > this.#unansweredAt || now - this.#unansweredAt > NOTICED_MS;
    });
  }

  /** Resolves when all of them are trusted, or the signal aborts. */
  async in(sources: readonly Need[], signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.has(sources)) {
      await this.#changed.changedWithin(this.#changed.version, LOOK_MS, this.#clock, signal);
    }
  }
}
