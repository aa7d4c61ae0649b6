/**
 * Complete listings of a prefix in pages, all at the revision of the first page: together they are one snapshot. A page
 * that is too large for one message is asked for again in halves.
 */
import type { IKeyValue, IRangeResponse } from '../session/connection.ts';
import { EtcdError } from '../session/errors.ts';
import type { Session } from '../session/session.ts';

export interface Range {
  readonly key: Buffer;
  readonly end: Buffer;
}

/** What a listing needs of a session. */
export type Caller = Pick<Session, 'call' | 'closed'>;

export interface Page {
  readonly revision: string;
  readonly entries: readonly IKeyValue[];
}

const PAGE_TIMEOUT_MS = 60_000;
const ZERO = Buffer.from([0]);

/** All keys that start with the prefix. An empty prefix means all keys, as etcd spells it. */
export function prefixRange(prefix: string): Range {
  const key = Buffer.from(prefix);
  if (key.length === 0) return { key: ZERO, end: ZERO };
  for (let last = key.length - 1; last >= 0; last--) {
    const byte = key[last];
    if (byte !== undefined && byte < 0xff) {
      return { key, end: Buffer.concat([key.subarray(0, last), Buffer.from([byte + 1])]) };
    }
  }
  return { key, end: ZERO };
}

/** The smallest key after this one. */
export function keyAfter(key: Buffer): Buffer {
  return Buffer.concat([key, ZERO]);
}

/** How many keys to ask for after a page of `limit` was too large; undefined when even one was. */
export function smallerPage(limit: number): number | undefined {
  return limit > 1 ? Math.floor(limit / 2) : undefined;
}

export async function* listPages(
  session: Caller,
  prefix: string,
  pageSize: number,
  signal: AbortSignal = session.closed,
): AsyncGenerator<Page, void, undefined> {
  let { key, end } = prefixRange(prefix);
  let limit = pageSize;
  let revision: string | undefined;
  for (;;) {
    const request = { key, range_end: end, limit, revision: revision ?? 0 };
    const answer = await readPage(session, prefix, request, signal);
    if (answer === 'too-large') {
      const smaller = smallerPage(limit);
      if (smaller === undefined) throw tooLarge(prefix, key);
      limit = smaller;
      continue;
    }
    revision ??= answer.header.revision;
    yield { revision, entries: answer.kvs };
    const last = answer.kvs.at(-1);
    if (!answer.more || !last) return;
    key = keyAfter(last.key);
  }
}

interface PageRequest {
  readonly key: Buffer;
  readonly range_end: Buffer;
  readonly limit: number;
  readonly revision: string | number;
}

/**
 * No sort order is asked for: etcd's own order is by key, and an explicit one makes it read the whole rest of the range
 * for each page.
 */
async function readPage(
  session: Caller,
  prefix: string,
  request: PageRequest,
  signal: AbortSignal,
): Promise<IRangeResponse | 'too-large'> {
  try {
    const settings = { action: `list prefix "${prefix}"`, timeoutMs: PAGE_TIMEOUT_MS, signal };
    return await session.call(settings, ({ kv }, options) => kv.range(request, options));
  } catch (error) {
    if (error instanceof EtcdError && error.kind === 'too-large') return 'too-large';
    throw error;
  }
}

function tooLarge(prefix: string, key: Buffer): EtcdError {
  return new EtcdError(
    'too-large',
    `Cannot list prefix "${prefix}": expected values that fit into one message: the first key from "${key}" does not`,
  );
}
