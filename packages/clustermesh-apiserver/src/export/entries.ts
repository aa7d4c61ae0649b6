/**
 * The seam between what is known of this cluster and its etcd: entries of one kind that changed, by the suffix of their
 * key. Everything below `export/` but the writer is a function of the facts that it was told: no I/O and no clock.
 */
export type EntryChanges = ReadonlyMap<string, string | undefined>;

/** Entries of one kind. */
export interface EntrySource {
  /** New values, and `undefined` for entries that are to go, since the last call. `now` is by a clock for deciding. */
  takeChanges(now: number): EntryChanges;
  /** By that clock: when there is more to take, which was held back. */
  readonly heldBackUntil?: number | undefined;
  /** Suffixes that an earlier life may have written and of which nothing can be said now: they stay. */
  readonly keep: ReadonlySet<string>;
  /** How many entries were exported and not taken back. */
  readonly size: number;
}

/** What was exported last, to tell what is news. */
export class ExportedValues {
  readonly #values = new Map<string, string>();

  /** Those of the entries that are news. */
  update(entries: Iterable<readonly [suffix: string, value: string | undefined]>): EntryChanges {
    const changes = new Map<string, string | undefined>();
    for (const [suffix, value] of entries) {
      if (this.#values.get(suffix) === value) continue;
      if (value === undefined) this.#values.delete(suffix);
      else this.#values.set(suffix, value);
      changes.set(suffix, value);
    }
    return changes;
  }

  get size(): number {
    return this.#values.size;
  }
}
