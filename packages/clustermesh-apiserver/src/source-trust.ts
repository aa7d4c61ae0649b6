/**
 * What this cluster may be said to be: nothing is written, and nothing taken away, before its sources were listed
 * completely, by listings that began after we became the one that writes. Whoever wrote before us knew nothing newer than
 * they show; a watch that works may be behind that, be it by a blink after it was opened again. Otherwise we would bring
 * back what he deleted.
 */
import { Notifier } from '@tombolo/shared/process/notifier.ts';
import type { Need } from './kinds.ts';

export class SourceTrust {
  readonly #changed = new Notifier();
  readonly #complete = new Set<Need>();
  readonly #relist = new Map<Need, () => void>();
  #tenure: AbortSignal | undefined;

  /** `relist` has it listed anew, and `complete` called only after that. */
  relistable(source: Need, relist: () => void): void {
    this.#relist.set(source, relist);
  }

  complete(source: Need): void {
    this.#complete.add(source);
    this.#changed.notify();
  }

  has(sources: readonly Need[]): boolean {
    return sources.every((source) => this.#complete.has(source));
  }

  /** Resolves when all of them are complete as of this tenure, or it has ended. The first who asks begins it. */
  async in(sources: readonly Need[], tenure: AbortSignal): Promise<void> {
    if (this.#tenure !== tenure) this.#begin(tenure);
    await this.#changed.until(() => this.has(sources), tenure);
  }

  #begin(tenure: AbortSignal): void {
    this.#tenure = tenure;
    for (const [source, relist] of this.#relist) {
      this.#complete.delete(source);
      relist();
    }
  }
}
