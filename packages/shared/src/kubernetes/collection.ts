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
import { sleep, systemClock } from '../process/clock.ts';
import type { Health } from '../process/health.ts';
import type { Logger } from '../process/logger.ts';
import { childOf } from '../process/notifier.ts';
import { AGAIN, reasonOf, retry } from '../process/retry.ts';
import { ApiError, type KubernetesClient } from './client.ts';
import type { Convert } from './conversion.ts';
import { History, latestOf } from './history.ts';
import { type ChangeHandler, type Listing, ObjectCache } from './object-cache.ts';
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
}

export interface Collection<T> {
  /** For example `/api/v1/services`. */
  readonly path: string;
  /** Selectors, as query parameters. */
  readonly selectors?: Readonly<Record<string, string>>;
  readonly convert: Convert<T>;
  /** Not every API server has such objects: 404 is no failure. */
  readonly isOptional?: boolean;
  /** Before such a server is asked again, in ms; undefined: a few minutes. */
  readonly absentMs?: number;
}

/** One step of following; what it answers is how a watch ended that there was something to watch for. */
type Step = (signal: AbortSignal) => Promise<'held' | 'short' | undefined>;

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
/** As `absentMs`. */
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
  return new CollectionFollower(client, collection, handler, childOf(signal), log, options).run();
}

class CollectionFollower<T> {
  readonly #client: KubernetesClient;
  readonly #collection: Collection<T>;
  readonly #cache: ObjectCache<T>;
  readonly #running: AbortController;
  readonly #log: Logger;
  readonly #options: WatchOptions;
  readonly #random: () => number;
  readonly #now: () => number;
  #history = new History();
  #next: Step;
  #listingDueAt = 0;
  #isListingAsked = false;
  /** Ends the step that is under way. */
  #step = new AbortController();
  #answers = false;
  /** RFC 3339. */
  #failingSince: string | undefined;
  /** What the handler threw: our own fault, not the API server's. */
  #bug: { readonly error: unknown } | undefined;

  constructor(
    client: KubernetesClient,
    collection: Collection<T>,
    handler: ChangeHandler<T>,
    running: AbortController,
    log: Logger,
    options: WatchOptions,
  ) {
    this.#client = client;
    this.#collection = collection;
    this.#running = running;
    this.#log = log.child({ path: collection.path });
    this.#now = options.now ?? Date.now;
    this.#cache = new ObjectCache(collection.convert, handler, this.#log, this.#now);
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#next = this.#list;
  }

  async run(): Promise<void> {
    const { signal } = this.#running;
    this.#options.relistable?.(() => {
      this.#isListingAsked = true;
      this.#step.abort();
    });
    while (!signal.aborted) {
      await retry(() => this.#untilHeld(signal), {
        signal,
        first: 200,
        limit: LONGEST_WAIT_MS,
        random: this.#random,
        failed: (error) => {
          if (error !== undefined) this.#failed(error);
        },
        atLeast: (error) => (error instanceof ApiError ? Math.min(error.retryAfterMs, LONGEST_RETRY_AFTER_MS) : 0),
      });
    }
    if (this.#bug) throw this.#bug.error;
  }

  /** Goes from step to step until a watch has held. Asks to be tried again after one that was short. */
  async #untilHeld(signal: AbortSignal): Promise<typeof AGAIN | undefined> {
    while (!signal.aborted) {
      const step = childOf(signal);
      this.#step = step;
      if (this.#isListingAsked) this.#next = this.#list;
      this.#isListingAsked = false;
      try {
        const end = await this.#next(step.signal);
        if (end === 'held') return undefined;
        if (end === 'short' && !step.signal.aborted) return AGAIN;
      } catch (error) {
        if (step.signal.aborted) continue;
        if (!this.#collection.isOptional || statusOf(error) !== 404) throw error;
        await this.#goWithout(step.signal);
      } finally {
        step.abort();
      }
    }
    return undefined;
  }

  /** The server says that it has no such collection: that is a listing of nothing. */
  async #goWithout(signal: AbortSignal): Promise<void> {
    this.#deliver(() => this.#cache.replace(new Map()));
    this.#next = this.#list;
    this.#works();
    await sleep(systemClock, this.#collection.absentMs ?? ABSENT_MS, signal);
  }

  async #list(signal: AbortSignal): Promise<undefined> {
    try {
      await this.#listInPages(this.#options.pageSize ?? FIRST_PAGE, signal);
    } catch (error) {
      if (statusOf(error) !== 410) throw error;
      // It took longer than the server keeps its revision: once more, in one piece.
      await this.#listInPages(0, signal);
    }
  }

  /** `limit`: objects on the first page; 0 for all there are. */
  async #listInPages(limit: number, signal: AbortSignal): Promise<void> {
    const listing: Listing<T> = new Map();
    let latest: RawObject | undefined;
    let page = await this.#page(limit, '', signal);
    for (;;) {
      if (signal.aborted) return;
      if (this.#history.isAhead(page.resourceVersion)) this.#rewound(page.resourceVersion);
      latest = latestOf([latest, ...page.items]);
      this.#cache.collect(listing, page.items);
      if (page.next === '') break;
      page = await this.#page(this.#options.pageSize ?? nextPageSize(page), page.next, signal);
    }
    this.#deliver(() => this.#cache.replace(listing));
    this.#history.begin(page.resourceVersion, latest);
    this.#next = (signal) => this.#watch(signal, false);
    this.#listingDueAt = performance.now() + (this.#options.relistMs ?? RELIST_MS) * (0.75 + 0.5 * this.#random());
    this.#works();
  }

  /** After an interruption the server may be another one than we know: the object that changed last is asked for (C5). */
  async #proveHistory(signal: AbortSignal): Promise<undefined> {
    const page = await this.#page(1, '', signal, this.#history.witness);
    const verdict = this.#history.judge(page);
    if (verdict === 'another') this.#rewound(page.resourceVersion);
    this.#next = verdict === 'same' ? (signal) => this.#watch(signal, true) : this.#list;
  }

  /** Equal revisions of an object mean an equal object in one history only: nothing of the old one counts. */
  #rewound(now: string): void {
    const { reached } = this.#history;
    this.#log.warn({ reached, now }, 'The history of the Kubernetes API went backwards; listing anew');
    this.#history = new History();
    this.#cache.distrust();
  }

  async #page(limit: number, next: string, signal: AbortSignal, fields: readonly string[] = []): Promise<ListPage> {
    const query = { ...(limit > 0 && { limit: `${limit}` }), ...(next !== '' && { continue: next }) };
    return decodeListPage(await this.#client.get(this.#path(query, fields), signal));
  }

  /** `resumes`: another watch was before it, and the server has proved its history since. */
  async #watch(signal: AbortSignal, resumes: boolean): Promise<'held' | 'short' | undefined> {
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
    this.#next = this.#proveHistory;
    try {
      await this.#client.stream(this.#path(query), handler, signal, this.#options.idleMs ?? IDLE_MS);
    } catch (error) {
      if (needsListing(error)) this.#next = this.#list;
      // An API server that was started again does not remember what came before.
      if (needsListing(error) && resumes) return undefined;
      if (error instanceof ApiError || (events === 0 && !held())) throw error;
      this.#log.debug({ error }, 'Watch broke off; going on');
    }
    if (performance.now() >= this.#listingDueAt) this.#next = this.#list;
    return held() ? 'held' : 'short';
  }

  /** How far we have come is noted after the fact was handed on. */
  #event(event: WatchEvent): void {
    if (event.kind === 'error') {
      throw event.code === 410 ? new LostTrack(event.message) : new ApiError(event.code, event.message);
    }
    const { kind, raw } = event;
    const { reached } = this.#history;
    if (this.#history.isAhead(raw.resourceVersion)) {
      this.#rewound(raw.resourceVersion);
      throw new LostTrack(`Watch went backwards, from revision ${reached} to ${raw.resourceVersion}`);
    }
    if (kind === 'present') this.#deliver(() => this.#cache.present(raw));
    if (kind === 'gone') this.#deliver(() => this.#cache.gone(raw.key));
    if (kind === 'bookmark') this.#history.bookmark(raw.resourceVersion);
    else this.#history.event(raw, kind === 'gone');
  }

  #deliver(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#bug = { error };
      this.#running.abort();
      throw error;
    }
  }

  /** `fields` are selected besides those of the collection. */
  #path(query: Readonly<Record<string, string>>, fields: readonly string[] = []): string {
    const { path, selectors } = this.#collection;
    const fieldSelector = [selectors?.['fieldSelector'] ?? [], fields].flat().join(',');
    const all = { ...selectors, ...query, ...(fieldSelector !== '' && { fieldSelector }) };
    return `${path}?${new URLSearchParams(all)}`;
  }

  #works(): void {
    if (this.#answers) return;
    const { server } = this.#client;
    const since = this.#failingSince;
    if (since !== undefined) this.#log.info({ server, since }, 'Kubernetes API answers again');
    this.#answers = true;
    this.#failingSince = undefined;
    this.#options.report?.({ kind: 'ok' });
  }

  #failed(error: unknown): void {
    const { server } = this.#client;
    const level = this.#failingSince === undefined ? 'warn' : 'debug';
    this.#log[level]({ server, error }, 'Cannot follow the Kubernetes API; trying again');
    this.#answers = false;
    this.#failingSince ??= new Date(this.#now()).toISOString();
    const reason = `${server}: ${reasonOf(error)} (since ${this.#failingSince})`;
    this.#options.report?.({ kind: 'degraded', reason });
  }
}

const statusOf = (error: unknown): number | undefined => (error instanceof ApiError ? error.status : undefined);

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
