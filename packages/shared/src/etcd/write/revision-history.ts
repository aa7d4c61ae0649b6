/**
 * Tells when etcd has gone back to an older state: a backup was restored, or its disk emptied. Revisions only grow, so
 * an answer below what was answered before the call was made belongs to another history. Pure.
 */
export interface Mark {
  readonly history: number;
  readonly newest: bigint;
}

export class RevisionHistory {
  #history = 0;
  #newest = 0n;

  /** To be taken before a call, and handed to `wentBack` with its answer. */
  mark(): Mark {
    return { history: this.#history, newest: this.#newest };
  }

  /** True once for each time that etcd went back. `grew`: how far the call itself must have brought the revision. */
  wentBack(mark: Mark, revision: string, grew = 0n): boolean {
    const current = BigInt(revision);
    const back = mark.history === this.#history && current < mark.newest + grew;
    if (back) this.#history++;
    if (back || (mark.history === this.#history && current > this.#newest)) this.#newest = current;
    return back;
  }
}
