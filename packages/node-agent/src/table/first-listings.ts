/**
 * Clusters that are being listed for the first time since this process started. Their Services come by the thousand, and
 * what follows is best worked out when all are there: otherwise the kernel is written time and again, and the listing
 * waits for that.
 */
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import { type Clock, systemClock } from '@tombolo/shared/process/clock.ts';

/** What a listing that takes longer has brought is worked out as it comes. */
const LONGEST_MS = 10_000;

export class FirstListings {
  readonly #clock: Clock;
  readonly #tooLong: () => void;
  readonly #underWay = new Set<ClusterName>();
  readonly #complete = new Set<ClusterName>();
  #until = 0;

  /** `tooLong` is called when it should not wait any longer. */
  constructor(tooLong: () => void, clock: Clock = systemClock) {
    this.#tooLong = tooLong;
    this.#clock = clock;
  }

  /** Whether what they say should wait. */
  get areUnderWay(): boolean {
    return this.#underWay.size > 0 && this.#clock.now() < this.#until;
  }

  /** The cluster said something. */
  told({ name }: { readonly name: ClusterName }): void {
    if (this.#complete.has(name)) return;
    if (this.#underWay.size === 0) {
      this.#until = this.#clock.now() + LONGEST_MS;
      this.#clock.after(LONGEST_MS, this.#tooLong);
    }
    this.#underWay.add(name);
  }

  /** The cluster was heard completely. */
  complete({ name }: { readonly name: ClusterName }): void {
    this.#complete.add(name);
    this.#underWay.delete(name);
  }

  removed({ name }: { readonly name: ClusterName }): void {
    this.#complete.delete(name);
    this.#underWay.delete(name);
  }
}
