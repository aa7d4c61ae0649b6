/**
 * How much of this node one other cluster may take: so many backends for one frontend, and so many over all (settled by
 * the table, which hands in what is left for the Service). Local backends come first; of a remote's the first in order.
 */
import type { ClusterName } from '../model/cluster.ts';
import { MOST_BACKENDS } from '../model/routes.ts';
import type { Candidate } from './candidates.ts';

/** What one Service may use of other clusters, counted over all its groups. */
export class Allowances {
  readonly #perFrontend: number;
  /** Backends that each cluster would have in use but for its allowance. */
  readonly wanted = new Map<ClusterName, number>();

  constructor(perFrontend: number) {
    this.#perFrontend = perFrontend;
  }

  /** Takes out what is too much of one group's candidates. */
  limit(candidates: readonly Candidate[]): void {
    const ofGroup = new Map<ClusterName, number>();
    let total = 0;
    for (const candidate of candidates) {
      if (candidate.verdict !== 'selected') continue;
      if (total >= MOST_BACKENDS || !(candidate.offer.local || this.#takes(candidate.offer, ofGroup))) {
        candidate.verdict = 'quota';
      } else total++;
    }
  }

  #takes({ cluster, contribution }: Candidate['offer'] & { local: false }, ofGroup: Map<ClusterName, number>): boolean {
    const here = ofGroup.get(cluster.name) ?? 0;
    if (here >= this.#perFrontend) return false;
    ofGroup.set(cluster.name, here + 1);
    const wanted = this.wanted.get(cluster.name) ?? 0;
    this.wanted.set(cluster.name, wanted + 1);
    return wanted < (contribution.allowance ?? Number.POSITIVE_INFINITY);
  }
}
