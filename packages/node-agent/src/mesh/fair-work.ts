/** Work for several clusters, in short slices of the event loop's time and by turns: none of them can take the loop. */
import { SlicedWork, type SlicedWorkOptions } from '@tombolo/shared/process/slices.ts';

export interface WorkSource {
  /** Does one small piece; false when nothing is left to do for now. */
  step(): boolean;
  /** A slice is over in which it took a step. */
  sliced(): void;
}

export class FairWork {
  /** Those with something to do, in the order in which they take turns. */
  readonly #turns = new Set<WorkSource>();
  readonly #stepped = new Set<WorkSource>();
  readonly #work: SlicedWork;

  /** How long a slice may last, if not as long as is usual. */
  constructor(slice: Pick<SlicedWorkOptions, 'budgetMs'> = {}) {
    this.#work = new SlicedWork({ ...slice, step: () => this.#step(), sliced: () => this.#sliced() });
  }

  request(source: WorkSource): void {
    this.#turns.add(source);
    this.#work.request();
  }

  withdraw(source: WorkSource): void {
    this.#turns.delete(source);
    this.#stepped.delete(source);
  }

  stop(): void {
    this.#work.stop();
  }

  #step(): boolean {
    const [source] = this.#turns;
    if (source === undefined) return false;
    this.#turns.delete(source);
    this.#stepped.add(source);
    if (source.step()) this.#turns.add(source);
    return true;
  }

  #sliced(): void {
    const stepped = [...this.#stepped];
    this.#stepped.clear();
    for (const source of stepped) source.sliced();
  }
}
