/**
 * The event stream of WatchServices. It pulls: as long as the reader has not taken what was sent, nothing is read from
 * the table, and the next round then brings the latest state of all that changed.
 *
 * W1. An event between two bookmarks may be lost with the stream without harm: tokens are given at round ends only.
 * W2. A token is good only for the life of the table that gave it; otherwise the answer is a snapshot.
 */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { type ServiceKey, splitServiceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts, TableReader } from '@tombolo/shared/model/service-table.ts';
import { rounds } from './rounds.ts';
import { filteredServices, matchesFacts, matchesKey } from './service-filter.ts';
import { serviceParts } from './service-message.ts';
import type { ApiSource } from './source.ts';

/** Ends when the signal aborts. */
export async function* watchServices(
  source: ApiSource,
  filter: api.ServiceFilter,
  resumeToken: string,
  signal: AbortSignal,
): AsyncGenerator<api.WatchServicesResponse> {
  const { table } = source;
  const epoch = source.status().startedAt.toString(36);
  const bookmark = (revision: number): api.Bookmark => ({ resumeToken: `${epoch}.${revision}` });
  /** With `globalOnly`: what the reader has. Unknown after a resumption, and not needed without. */
  let shown: Set<ServiceKey> | undefined;
  let known = parseResumeToken(resumeToken, epoch, table.revision);
  let isResumed = known !== undefined;
  for await (const _ of rounds((listener) => table.onChange(listener), signal)) {
    const changes = table.changesSince(known ?? -1);
    if (changes === 'compacted') {
      const snapshot = table.snapshot();
      const { revision } = snapshot;
      shown = filter.globalOnly ? new Set() : undefined;
      yield { revision, event: 'snapshotBegin', snapshotBegin: {} };
      for (const facts of filteredServices(filter, snapshot)) {
        shown?.add(facts.key);
        yield* serviceEvents(table, revision, facts);
      }
      yield { revision, event: 'snapshotEnd', snapshotEnd: bookmark(revision) };
      known = revision;
    } else {
      const { revision, changed } = changes;
      let isNews = isResumed;
      for (const [key, facts] of changed) {
        if (!matchesKey(filter, key)) continue;
        if (facts && matchesFacts(filter, facts)) {
          shown?.add(key);
          yield* serviceEvents(table, revision, facts);
        } else if (shown === undefined || shown.delete(key)) {
          yield { revision, event: 'removed', removed: splitServiceKey(key) };
        } else {
          continue;
        }
        isNews = true;
      }
      if (isNews) yield { revision, event: 'bookmark', bookmark: bookmark(revision) };
      known = revision;
    }
    isResumed = false;
  }
}

function* serviceEvents(
  table: TableReader,
  revision: number,
  facts: ServiceFacts,
): Generator<api.WatchServicesResponse> {
  for (const { service } of serviceParts(table.explain(facts))) yield { revision, event: 'service', service };
}

/** The revision to go on from; undefined when only a snapshot will do. */
export function parseResumeToken(token: string, epoch: string, current: number): number | undefined {
  const [tokenEpoch, text = '', ...rest] = token.split('.');
  const revision = Number(text);
  if (rest.length > 0 || tokenEpoch !== epoch || !/^\d{1,15}$/.test(text) || revision > current) return undefined;
  return revision;
}
