/**
 * How a node leaves its traffic to others (RFC 8326): what it announces it announces for a while as the last resort, so that
 * routers that know better ways take those first, and withdraws it then. Pure, with the time handed in.
 *
 * - A node that is to have no traffic any more withdraws after `drainMs`; nothing that routers have not heard before is
 *   announced for that.
 * - One whose datapath does not work stays the last resort: where all nodes are so, one that forwards what it knew is better
 *   than none.
 */
import type { BgpIntent, Stay } from './plan.ts';

export class Departure {
  readonly #drainMs: number;
  #until: number | undefined;
  /** Prefixes that routers knew when it began. */
  #known: ReadonlySet<string> = new Set();

  constructor(drainMs: number) {
    this.#drainMs = drainMs;
  }

  /** Whether what routers know now must be handed to `begin` before `stay` is asked for. */
  isToBegin(isExcluded: boolean): boolean {
    return isExcluded && this.#until === undefined;
  }

  /** `known`: the prefixes that routers have been told of. */
  begin(now: number, known: ReadonlySet<string>): void {
    this.#until = now + this.#drainMs;
    this.#known = known;
  }

  stay(now: number, isExcluded: boolean, isServing: boolean): Stay {
    if (!isExcluded) {
      this.#until = undefined;
      return isServing ? 'full' : 'last resort';
    }
    return this.#known.size > 0 && this.#until !== undefined && now < this.#until ? 'last resort' : 'gone';
  }

  /** What of an intent is said while it stays as the last resort. */
  narrowed(intent: BgpIntent): BgpIntent {
    const neighbors = intent.neighbors.map((each) => ({
      ...each,
      routes: new Map([...each.routes].filter(([prefix]) => this.#known.has(prefix))),
    }));
    return { ...intent, neighbors };
  }

  /** In ms from now; undefined: none is under way. */
  endsIn(now: number): number | undefined {
    return this.#until === undefined || this.#until <= now ? undefined : this.#until - now;
  }
}
