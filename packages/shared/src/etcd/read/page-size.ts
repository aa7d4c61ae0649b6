/** How many keys to ask for in one page of a listing, so that it comes to a given number of bytes. Pure. */

/** Of a listing of which nothing is known. */
export const FIRST_LIMIT = 64;
/** However small they are; etcd gathers a page in its memory, and what comes next may be large. */
const MOST_KEYS = 1_000;
/** From one page to the next, since what is next may be larger. */
const GROWTH = 4;

/** After a page of so many keys with so many bytes. */
export function nextLimit(keys: number, bytes: number, aim: number): number {
  const fitting = Math.floor((aim * keys) / Math.max(1, bytes));
  return Math.max(1, Math.min(fitting, keys * GROWTH, MOST_KEYS));
}

/** After a page of so many keys was too large for one message; undefined when even one was. */
export function smallerLimit(limit: number): number | undefined {
  return limit > 1 ? Math.floor(limit / 2) : undefined;
}
