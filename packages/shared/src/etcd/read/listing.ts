/**
 * Complete listings of a prefix in pages, all at the revision of the first page: together they are one snapshot. Another
 * connection may lead to an etcd that was emptied or restored meanwhile, so a listing ends with the one it began on. The
 * next page is asked for while the current one is handled, and no other before that, so that a slow reader has two pages
 * in memory at the most. A page that is too large for one message is asked for again in halves.
 */
import type { IRangeRequest } from 'etcd3';
import type { Connection, KeyValue, RangeAnswer } from '../session/connection.ts';
import { EtcdError } from '../session/errors.ts';
import type { Session } from '../session/session.ts';
import { type KeyRange, keyAfter, prefixRange } from './key-range.ts';
import { FIRST_LIMIT, nextLimit, smallerLimit } from './page-size.ts';

export interface ListingOptions {
  readonly prefix: string;
  /** What a page should come to. */
  readonly pageBytes: number;
  /** Default: that of the session. */
  readonly signal?: AbortSignal;
  /** Waits for etcd to answer, where the first page is concerned. */
  readonly patient?: boolean;
}

export interface Page {
  readonly revision: string;
  readonly entries: readonly KeyValue[];
}

const PAGE_TIMEOUT_MS = 60_000;

interface Position {
  readonly key: Buffer;
  readonly limit: number;
  readonly revision: string | undefined;
}

export async function* listPages(session: Session, options: ListingOptions): AsyncGenerator<Page, void, undefined> {
  const { key, end } = prefixRange(options.prefix);
  let source: Connection | undefined;
  const read = (position: Position): Promise<RangeAnswer> =>
    readPage(session, options, { ...position, end }, (connection) => {
      if (position.revision === undefined) source = connection;
      if (source !== connection) throw replaced(options.prefix, session.where);
    });
  let position: Position | undefined = { key, limit: FIRST_LIMIT, revision: undefined };
  let page = read(position);
  while (position) {
    const { header, kvs, more } = await page;
    const revision: string = position.revision ?? header.revision;
    position = more ? positionAfter(kvs, revision, options.pageBytes) : undefined;
    if (position) page = read(position);
    // It fails where it is awaited, and not before.
    page.catch(() => {});
    yield { revision, entries: kvs };
  }
}

function positionAfter(kvs: readonly KeyValue[], revision: string, pageBytes: number): Position | undefined {
  const last = kvs.at(-1);
  const bytes = kvs.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
  return last && { key: keyAfter(last.key), limit: nextLimit(kvs.length, bytes, pageBytes), revision };
}

/**
 * No sort order is asked for: etcd's own order is by key, and an explicit one makes it read the whole rest of the range
 * for each page.
 */
async function readPage(
  session: Session,
  { prefix, signal = session.closed, patient = false }: ListingOptions,
  { key, end, limit: wanted, revision }: Position & KeyRange,
  check: (connection: Connection) => void,
): Promise<RangeAnswer> {
  const settings = { action: `list prefix "${prefix}"`, timeoutMs: PAGE_TIMEOUT_MS, signal };
  for (let limit: number | undefined = wanted; limit !== undefined; limit = smallerLimit(limit)) {
    const request: IRangeRequest = { key, range_end: end, limit, revision: revision ?? 0 };
    try {
      return await session.call({ ...settings, patient: patient && revision === undefined }, (connection, call) => {
        check(connection);
        return connection.kv.range(request, call);
      });
    } catch (error) {
      if (!(error instanceof EtcdError) || error.kind !== 'too-large') throw error;
    }
  }
  throw new EtcdError(
    'too-large',
    `Cannot list prefix "${prefix}": expected values that fit into one message: the first key from "${key}" does not`,
  );
}

function replaced(prefix: string, where: string): EtcdError {
  return new EtcdError(
    'compacted',
    `Cannot go on listing prefix "${prefix}" at ${where}: expected the connection that it began on: it was replaced`,
  );
}
