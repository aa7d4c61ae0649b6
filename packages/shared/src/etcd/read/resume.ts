/** Decisions of a follower that comes back after a fault. Pure. */
import type { KeyValue } from '../session/connection.ts';

/**
 * etcd replays old revisions to a watcher in batches of 1,000, one every 100 ms: 10,000 a second at best, whoever reads
 * them. A listing comes with 40,000 keys a second and more.
 */
const REPLAYED_PER_MS = 8;
const LISTED_PER_MS = 40;
/** A round of replay that is not worth a listing. */
const WORTH_REPLAYING = 1_000n;

/** Whether a new listing brings us up to date sooner than a replay of the revisions that we are behind. */
export function isListingCheaper(behind: bigint, knownKeys: number): boolean {
  return behind > WORTH_REPLAYING && Number(behind) / REPLAYED_PER_MS > knownKeys / LISTED_PER_MS;
}

/** The same write of the same key, or none and none. The lease is drawn from the clock of its grant, so it tells two lives of an etcd apart. */
export function isSameEntry(found: KeyValue | undefined, known: KeyValue | undefined): boolean {
  if (!found || !known) return found === known;
  return (
    found.mod_revision === known.mod_revision &&
    found.create_revision === known.create_revision &&
    found.lease === known.lease &&
    found.key.equals(known.key) &&
    found.value.equals(known.value)
  );
}

/** Of two entries of one etcd. */
export function isNewer({ mod_revision: a }: KeyValue, { mod_revision: b }: KeyValue): boolean {
  return a.length === b.length ? a > b : a.length > b.length;
}
