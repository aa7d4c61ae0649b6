/**
 * The event stream of WatchServices. It pulls: as long as the reader has not taken what was sent, nothing is read from
 * the table, and the next round then brings the latest state of all that changed.
 *
 * W1. An event between two bookmarks may be lost with the stream without harm: tokens are given at round ends only.
 * W2. A token is good only for the life of the table that gave it; otherwise the answer is a snapshot.
 */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { type ServiceKey, splitServiceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts, TableChanges, TableSnapshot } from '@tombolo/shared/model/service-table.ts';
import type { Bell } from './bell.ts';
import { filteredServices, matchesFacts, matchesKey, type ServiceFilter } from './service-filter.ts';
import { serviceParts } from './service-message.ts';
import type { ApiSource } from './source.ts';

type Events = Generator<api.WatchServicesResponse>;

/** Ends when the bell is closed. */
export async function* watchServices(
  source: ApiSource,
  filter: ServiceFilter,
  resumeToken: string,
  bell: Bell,
): AsyncGenerator<api.WatchServicesResponse> {
  const epoch = source.status().startedAt.toString(36);
  const round = new Round(source, filter, epoch);
  let revision = parseResumeToken(resumeToken, epoch, source.revision);
  let resumed = revision !== undefined;
  do {
    const changes = revision === undefined ? 'compacted' : source.changesSince(revision);
    if (changes === 'compacted') {
      const table = source.snapshot();
      yield* round.snapshot(table);
      revision = table.revision;
    } else {
      yield* round.changes(changes, resumed);
      revision = changes.revision;
    }
    resumed = false;
  } while (await bell.next());
}

/** Makes the events of one round, and remembers what it must to know whether `removed` means something to the reader. */
class Round {
  readonly #source: ApiSource;
  readonly #filter: ServiceFilter;
  readonly #epoch: string;
  /** With `globalOnly`: what the reader has. Unknown after a resumption, and not needed without. */
  #shown: Set<ServiceKey> | undefined;

  constructor(source: ApiSource, filter: ServiceFilter, epoch: string) {
    this.#source = source;
    this.#filter = filter;
    this.#epoch = epoch;
  }

  *snapshot(table: TableSnapshot): Events {
    const { revision } = table;
    this.#shown = this.#filter.globalOnly ? new Set() : undefined;
    yield { revision, event: 'snapshotBegin', snapshotBegin: {} };
    for (const facts of filteredServices(this.#filter, table)) yield* this.#service(revision, facts);
    yield { revision, event: 'snapshotEnd', snapshotEnd: this.#bookmark(revision) };
  }

  *changes({ revision, changed }: TableChanges, alwaysBookmark: boolean): Events {
    let sent = alwaysBookmark;
    for (const [key, facts] of changed) {
      if (!matchesKey(this.#filter, key)) continue;
      if (facts && matchesFacts(this.#filter, facts)) {
        yield* this.#service(revision, facts);
      } else if (this.#shown === undefined || this.#shown.delete(key)) {
        yield { revision, event: 'removed', removed: splitServiceKey(key) };
      } else {
        continue;
      }
      sent = true;
    }
    if (sent) yield { revision, event: 'bookmark', bookmark: this.#bookmark(revision) };
  }

  *#service(revision: number, facts: ServiceFacts): Events {
    this.#shown?.add(facts.key);
    for (const { service } of serviceParts(this.#source.explain(facts))) yield { revision, event: 'service', service };
  }

  #bookmark(revision: number): api.Bookmark {
    return { resumeToken: `${this.#epoch}.${revision}` };
  }
}

/** The revision to go on from; undefined when only a snapshot will do. */
export function parseResumeToken(token: string, epoch: string, current: number): number | undefined {
  const [tokenEpoch, text = '', ...rest] = token.split('.');
  const revision = Number(text);
  if (rest.length > 0 || tokenEpoch !== epoch || !/^\d{1,15}$/.test(text) || revision > current) return undefined;
  return revision;
}
