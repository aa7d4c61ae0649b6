/**
 * Follows one collection of the Kubernetes API: pages through a listing, watches from its revision, and goes on for
 * ever. One loop, whose state is where it stands in the server's history.
 *
 * C1 Only a delete event or a complete new listing takes an object away. An API server that is down or talks nonsense
 *    takes away nothing.
 * C2 An event is handed on in the tick in which it arrives.
 * C3 A refused object leaves the last good value of its key in force; its neighbours go on.
 * C4 After anything that could have lost an event (410 Gone, an undecodable line) a new listing is made.
 * C5 A watch goes on where the last one ended only if the server is still in the history that we know (`history.ts`).
 *    Another one is listed anew, and what we knew counts for nothing.
 * C6 Whatever slips through all this is found by a new listing now and then.
 * C7 A server in trouble is asked once in a while, and not before the time that it asks for.
 * C8 When a listing is asked for, whatever is under way is given up: the next `synced` follows a listing that began later.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Backoff, backoff } from '../process/backoff.ts';
import type { Health } from '../process/health.ts';
import type { Logger } from '../process/logger.ts';
import { childOf } from '../process/notifier.ts';
import { ApiError, type KubernetesClient } from './client.ts';
import type { Convert } from './conversion.ts';
import { History, latestOf } from './history.ts';
import type { ChangeHandler } from './informer.ts';
import { Listing, ObjectCache } from './object-cache.ts';
import {
  decodeListPage,
  decodeWatchEvent,
  type ListPage,
  LostTrack,
  type RawObject,
  type WatchEvent,
} from './watch-event.ts';

export interface WatchOptions {
  /** Told when the API server answers (`ok`) and when it fails (`degraded`). */
  readonly report?: (health: Health) => void;
  /** Handed what asks for a listing (C8). */
  readonly relistable?: (relist: () => void) => void;
  /** ms since the epoch. */
  readonly now?: () => number;
  readonly random?: () => number;
  /** Objects a page, always; 0 lists everything at once. */
  readonly pageSize?: number;
  /** A watch that is silent for so long is opened again. API servers send bookmarks once a minute. */
  readonly idleMs?: number;
  /** A complete listing older than this is made anew when the watch that follows it ends. */
  readonly relistMs?: number;
  /** Not every API server has such objects: 404 is no failure. */
  readonly isOptional?: boolean;
}

export interface Collection<T> {
  /** For example `/api/v1/services`. */
  readonly path: string;
  /** Selectors, as query parameters. */
  readonly selectors?: Readonly<Record<string, string>>;
  readonly convert: Convert<T>;
}

/** After an interruption the server may be another one than we know (C5). */
type Next =
  | { readonly kind: 'list' }
  | { readonly kind: 'watch'; readonly after: 'listing' | 'proof' | 'interruption' };

/** A watch that held for so long was good, even if it brought nothing. */
const HELD_MS = 5000;
/** An operator whose API server is back waits no longer than this for us. */
const LONGEST_WAIT_MS = 5000;
/** What an API server itself asks for at most; proxies before it have other ideas. */
const LONGEST_RETRY_AFTER_MS = 32_000;
const IDLE_MS = 90_000;
const RELIST_MS = 3_600_000;
/** Objects. */
const FIRST_PAGE = 100;
const PAGE_LIMITS = { least: 20, most: 500 };
/** What a page holds is garbage once it is read: more of it at a time is no faster, and stays resident. */
const PAGE_CHARACTERS = 512 * 1024;
/** Before a server is asked again for what it does not have. */
const ABSENT_MS = 300_000;

/** Resolves when `signal` aborts; rejects only with what the handler threw. */
export function followCollection<T>(
  client: KubernetesClient,
  collection: Collection<T>,
  handler: ChangeHandler<T>,
  signal: AbortSignal,
  log: Logger,
  options: WatchOptions = {},
): Promise<void> {
  return new CollectionFollower(client, collection, handler, log, options).run(signal);
}

class CollectionFollower<T> {
  readonly #client: KubernetesClient;
  readonly #collection: Collection<T>;
  readonly #cache: ObjectCache<T>;
  readonly #log: Logger;
  readonly #options: WatchOptions;
  readonly #random: () => number;
  readonly #now: () => number;
  readonly #history = new History();
  #next: Next = { kind: 'list' };
  /** The next listing is compared as if nothing of what we know were true. */
  #distrusts = false;
  #listingDueAt = 0;
  #isListingAsked = false;
  /** What is under way. */
  #step = new AbortController();
  #state: { readonly kind: 'new' | 'ok' } | { readonly kind: 'failing'; readonly since: string } = { kind: 'new' };
  /** What the handler threw: our own fault, not the API server's. */
  #bug: { readonly error: unknown } | undefined;

  constructor(
    client: KubernetesClient,
    collection: Collection<T>,
    handler: ChangeHandler<T>,
    log: Logger,
    options: WatchOptions,
  ) {
    this.#client = client;
    this.#collection = collection;
    this.#log = log.child({ path: collection.path });
    this.#now = options.now ?? Date.now;
    this.#cache = new ObjectCache(collection.convert, handler, this.#log, this.#now);
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#options.relistable?.(() => {
      this.#isListingAsked = true;
      this.#step.abort();
    });
    const first = backoff({ first: 200, limit: LONGEST_WAIT_MS, random: this.#random });
    let wait = first;
    while (!signal.aborted) {
      const step = childOf(signal);
      this.#step = step;
      if (this.#isListingAsked) this.#next = { kind: 'list' };
      this.#isListingAsked = false;
      try {
        if (this.#next.kind === 'list') await this.#list(step.signal);
        else if (this.#next.after === 'interruption') await this.#proveHistory(step.signal);
        else {
          const end = await this.#watch(this.#next.after, step.signal);
          if (end === 'held') wait = first;
          if (end === 'short' && !step.signal.aborted) wait = await pause(wait, signal);
        }
      } catch (error) {
        if (this.#bug) throw this.#bug.error;
        if (step.signal.aborted) continue;
        if (this.#options.isOptional && error instanceof ApiError && error.status === 404) {
          await this.#goWithout(step.signal);
          continue;
        }
        this.#failed(error);
        wait = await pause(wait, signal, error instanceof ApiError ? error.retryAfterMs : 0);
      } finally {
        step.abort();
      }
    }
  }

  /** The server says that it has no such collection: that is a listing of nothing. */
  async #goWithout(signal: AbortSignal): Promise<void> {
    this.#deliver(() => this.#cache.replace(new Listing()));
    this.#next = { kind: 'list' };
    this.#works();
    await sleep(ABSENT_MS, undefined, { signal }).catch(() => {});
  }

  async #list(signal: AbortSignal): Promise<void> {
    let listing = new Listing<T>();
    let pageSize = this.#options.pageSize ?? FIRST_PAGE;
    let page: ListPage | undefined;
    let latest: RawObject | undefined;
    do {
      const received = await this.#page(pageSize, page?.next ?? '', signal);
      if (signal.aborted) return;
      if (received === 'expired') {
        // The listing took longer than the server keeps its revision: begin again, in one piece.
        pageSize = 0;
        page = latest = undefined;
        listing = new Listing();
        continue;
      }
      page = received;
      if (this.#history.isAhead(page.resourceVersion)) this.#rewound(page.resourceVersion);
      if (this.#distrusts) this.#cache.distrust();
      latest = latestOf([latest, ...received.items]);
      this.#cache.collect(listing, received.items);
      pageSize = this.#options.pageSize ?? nextPageSize(received);
    } while (page?.next !== '');
    this.#deliver(() => this.#cache.replace(listing));
    this.#distrusts = false;
    this.#history.begin(page.resourceVersion, latest);
    this.#next = { kind: 'watch', after: 'listing' };
    this.#listingDueAt = performance.now() + (this.#options.relistMs ?? RELIST_MS) * (0.75 + 0.5 * this.#random());
    this.#works();
  }

  /** The object that changed last is asked for (C5). */
  async #proveHistory(signal: AbortSignal): Promise<void> {
    const page = await this.#page(1, '', signal, this.#history.witness);
    const verdict = page === 'expired' ? 'unclear' : this.#history.judge(page);
    if (page !== 'expired' && verdict === 'another') this.#rewound(page.resourceVersion);
    this.#next = verdict === 'same' ? { kind: 'watch', after: 'proof' } : { kind: 'list' };
  }

  /** Equal revisions of an object mean an equal object in one history only. */
  #rewound(now: string): void {
    if (!this.#distrusts)
      this.#log.warn(
        { reached: this.#history.reached, now },
        'The history of the Kubernetes API went backwards; listing anew',
      );
    this.#distrusts = true;
  }

  async #page(
    limit: number,
    token: string,
    signal: AbortSignal,
    fields: readonly string[] = [],
  ): Promise<ListPage | 'expired'> {
    const query = { ...(limit > 0 && { limit: `${limit}` }), ...(token !== '' && { continue: token }) };
    try {
      return decodeListPage(await this.#client.get(this.#path(query, fields), signal));
    } catch (error) {
      if (error instanceof ApiError && error.status === 410 && token !== '') return 'expired';
      throw error;
    }
  }

  async #watch(after: 'listing' | 'proof', signal: AbortSignal): Promise<'held' | 'short' | 'lost track'> {
    let openedAt = Number.POSITIVE_INFINITY;
    let events = 0;
    const handler = {
      opened: () => {
        openedAt = performance.now();
        this.#works();
      },
      line: (line: string) => {
        if (signal.aborted) return;
        this.#event(decodeWatchEvent(line));
        events++;
      },
    };
    const held = () => performance.now() - openedAt >= HELD_MS;
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#history.reached,
      timeoutSeconds: `${300 + Math.floor(300 * this.#random())}`,
    };
    this.#next = { kind: 'watch', after: 'interruption' };
    try {
      await this.#client.stream(this.#path(query), handler, signal, this.#options.idleMs ?? IDLE_MS);
    } catch (error) {
      if (needsListing(error)) this.#next = { kind: 'list' };
      // An API server that was started again does not remember what came before.
      if (needsListing(error) && after === 'proof') return 'lost track';
      if (this.#bug || error instanceof ApiError || (events === 0 && !held())) throw error;
      this.#log.debug({ error }, 'Watch broke off; going on');
    }
    if (performance.now() >= this.#listingDueAt) this.#next = { kind: 'list' };
    return held() ? 'held' : 'short';
  }

  /** How far we have come is noted after the fact was handed on. */
  #event(event: WatchEvent): void {
    switch (event.kind) {
      case 'present':
        this.#expectProgress(event.raw.resourceVersion);
        this.#deliver(() => this.#cache.present(event.raw));
        this.#history.event(event.raw, false);
        break;
      case 'gone':
        this.#expectProgress(event.raw.resourceVersion);
        this.#deliver(() => this.#cache.gone(event.raw.key));
        this.#history.event(event.raw, true);
        break;
      case 'bookmark':
        this.#expectProgress(event.resourceVersion);
        this.#history.bookmark(event.resourceVersion);
        break;
      case 'error':
        throw event.code === 410 ? new LostTrack(event.message) : new ApiError(event.code, event.message);
    }
  }

  #expectProgress(revision: string): void {
    if (!this.#history.isAhead(revision)) return;
    this.#rewound(revision);
    throw new LostTrack(`Watch went backwards, from revision ${this.#history.reached} to ${revision}`);
  }

  #deliver(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#bug = { error };
      throw error;
    }
  }

  /** `fields` are selected besides those of the collection. */
  #path(query: Readonly<Record<string, string>>, fields: readonly string[] = []): string {
    const { path, selectors } = this.#collection;
    const fieldSelector = [selectors?.['fieldSelector'] ?? [], fields].flat().join(',');
    const all = { ...selectors, ...query, ...(fieldSelector !== '' && { fieldSelector }) };
    const text = new URLSearchParams(all).toString();
    return text === '' ? path : `${path}?${text}`;
  }

  #works(): void {
    if (this.#state.kind === 'ok') return;
    if (this.#state.kind === 'failing')
      this.#log.info({ server: this.#client.server, since: this.#state.since }, 'Kubernetes API answers again');
    this.#state = { kind: 'ok' };
    this.#options.report?.({ kind: 'ok' });
  }

  #failed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const wasFailing = this.#state.kind === 'failing';
    const since = this.#state.kind === 'failing' ? this.#state.since : new Date(this.#now()).toISOString();
    this.#log[wasFailing ? 'debug' : 'warn'](
      { server: this.#client.server, error },
      'Cannot follow the Kubernetes API; trying again',
    );
    this.#state = { kind: 'failing', since };
    this.#options.report?.({ kind: 'degraded', reason: `${this.#client.server}: ${reason} (since ${since})` });
  }
}

function nextPageSize({ items, size }: ListPage): number {
  const fitting = Math.round((PAGE_CHARACTERS * items.length) / size);
  return Math.min(Math.max(fitting, PAGE_LIMITS.least), PAGE_LIMITS.most);
}

/** Refusals that a later attempt at the same place can overcome: not logged in, not allowed (yet), overload, faults. */
function needsListing(error: unknown): boolean {
  if (!(error instanceof ApiError)) return error instanceof LostTrack;
  if (/resource ?version/i.test(error.message)) return true;
  return ![401, 403, 429].includes(error.status) && error.status < 500;
}

async function pause(wait: Backoff, signal: AbortSignal, atLeastMs = 0): Promise<Backoff> {
  const delay = Math.max(wait.delay, Math.min(atLeastMs, LONGEST_RETRY_AFTER_MS));
  await sleep(delay, undefined, { signal }).catch(() => {});
  return wait.next();
}
