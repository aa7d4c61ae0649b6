/**
 * Follows one collection of the Kubernetes API: pages through a listing, watches from its revision, and goes on for
 * ever. One loop, whose state is where it stands in the server's history.
 *
 * C1 Only a delete event or a complete new listing takes an object away. An API server that is down or talks nonsense
 *    takes away nothing.
 * C2 An event is handed on in the tick in which it arrives.
 * C3 A refused object leaves the last good value of its key in force; its neighbours go on.
 * C4 After anything that could have lost an event (410 Gone, an undecodable line) a new listing is made.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Backoff, backoff } from '../process/backoff.ts';
import type { Health } from '../process/health.ts';
import type { Logger } from '../process/logger.ts';
import { ApiError, type KubernetesClient } from './client.ts';
import type { Convert } from './conversion.ts';
import type { ChangeHandler } from './informer.ts';
import { Listing, ObjectCache } from './object-cache.ts';
import { decodeListPage, decodeWatchEvent, type ListPage, LostTrack, type WatchEvent } from './watch-event.ts';

export interface WatchOptions {
  /** Told when the API server answers (`ok`) and when it fails (`degraded`). */
  readonly report?: (health: Health) => void;
  /** ms since the epoch. */
  readonly now?: () => number;
  readonly random?: () => number;
  /** Objects a page; 0 lists everything at once. */
  readonly pageSize?: number;
  /** A watch that is silent for so long is opened again. API servers send bookmarks about once a minute. */
  readonly idleMs?: number;
}

export interface Collection<T> {
  /** For example `/api/v1/services`. */
  readonly path: string;
  /** Selectors, as query parameters. */
  readonly selectors?: Readonly<Record<string, string>>;
  readonly convert: Convert<T>;
}

type Next = { readonly kind: 'list' } | { readonly kind: 'watch'; readonly from: string };

/** A watch that held for so long was good, even if it brought nothing. */
const HELD_MS = 5000;

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
  #next: Next = { kind: 'list' };
  #state: 'new' | 'ok' | 'failing' = 'new';
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
    this.#cache = new ObjectCache(collection.convert, handler, this.#log, options.now ?? Date.now);
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  async run(signal: AbortSignal): Promise<void> {
    const first = backoff({ first: 200, limit: 10_000, random: this.#random });
    let wait = first;
    while (!signal.aborted) {
      try {
        if (this.#next.kind === 'list') await this.#list(signal);
        else wait = (await this.#watch(this.#next.from, signal)) ? first : await pause(wait, signal);
      } catch (error) {
        if (this.#bug) throw this.#bug.error;
        if (signal.aborted) return;
        this.#failed(error);
        wait = await pause(wait, signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    let listing = new Listing<T>();
    let pageSize = this.#options.pageSize ?? 500;
    let page: ListPage | undefined;
    do {
      const received = await this.#page(pageSize, page?.next ?? '', signal);
      if (signal.aborted) return;
      if (received === 'expired') {
        // The listing took longer than the server keeps its revision: begin again, in one piece.
        pageSize = 0;
        page = undefined;
        listing = new Listing();
        continue;
      }
      page = received;
      this.#cache.collect(listing, received.items);
    } while (page?.next !== '');
    this.#deliver(() => this.#cache.replace(listing));
    this.#next = { kind: 'watch', from: page.resourceVersion };
    this.#works();
  }

  async #page(limit: number, token: string, signal: AbortSignal): Promise<ListPage | 'expired'> {
    const query = { ...(limit > 0 && { limit: `${limit}` }), ...(token !== '' && { continue: token }) };
    try {
      return decodeListPage(await this.#client.get(this.#path(query), signal));
    } catch (error) {
      if (error instanceof ApiError && error.status === 410 && token !== '') return 'expired';
      throw error;
    }
  }

  /** True when the watch was good: it brought an event, or held for a while. */
  async #watch(from: string, signal: AbortSignal): Promise<boolean> {
    const started = performance.now();
    let events = 0;
    const onLine = (line: string) => {
      if (signal.aborted) return;
      this.#event(decodeWatchEvent(line));
      if (events++ === 0) this.#works();
    };
    const wasGood = () => events > 0 || performance.now() - started >= HELD_MS;
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: from,
      timeoutSeconds: `${300 + Math.floor(300 * this.#random())}`,
    };
    try {
      await this.#client.stream(this.#path(query), onLine, signal, this.#options.idleMs ?? 150_000);
    } catch (error) {
      if (needsListing(error)) this.#next = { kind: 'list' };
      if (this.#bug || error instanceof ApiError || !wasGood()) throw error;
      this.#log.debug({ error }, 'Watch broke off; going on');
    }
    return wasGood();
  }

  #event(event: WatchEvent): void {
    switch (event.kind) {
      case 'present':
        this.#deliver(() => this.#cache.present(event.raw));
        this.#reached(event.raw.resourceVersion);
        break;
      case 'gone':
        this.#deliver(() => this.#cache.gone(event.raw.key));
        this.#reached(event.raw.resourceVersion);
        break;
      case 'bookmark':
        this.#reached(event.resourceVersion);
        break;
      case 'error':
        throw event.code === 410 ? new LostTrack(event.message) : new ApiError(event.code, event.message);
    }
  }

  #reached(resourceVersion: string): void {
    if (resourceVersion !== '') this.#next = { kind: 'watch', from: resourceVersion };
  }

  #deliver(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#bug = { error };
      throw error;
    }
  }

  #path(query: Readonly<Record<string, string>>): string {
    const all = new URLSearchParams({ ...this.#collection.selectors, ...query }).toString();
    return all === '' ? this.#collection.path : `${this.#collection.path}?${all}`;
  }

  #works(): void {
    if (this.#state === 'ok') return;
    if (this.#state === 'failing') this.#log.info({ server: this.#client.server }, 'Kubernetes API answers again');
    this.#state = 'ok';
    this.#options.report?.({ kind: 'ok' });
  }

  #failed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const level = this.#state === 'failing' ? 'debug' : 'warn';
    this.#log[level]({ server: this.#client.server, error }, 'Cannot follow the Kubernetes API; trying again');
    this.#state = 'failing';
    this.#options.report?.({ kind: 'degraded', reason: `${this.#client.server}: ${reason}` });
  }
}

/** Refusals that a later attempt at the same place can overcome: not logged in, not allowed (yet), overload, faults. */
function needsListing(error: unknown): boolean {
  if (!(error instanceof ApiError)) return error instanceof LostTrack;
  if (/resource ?version/i.test(error.message)) return true;
  return ![401, 403, 429].includes(error.status) && error.status < 500;
}

async function pause(wait: Backoff, signal: AbortSignal): Promise<Backoff> {
  await sleep(wait.delay, undefined, { signal }).catch(() => {});
  return wait.next();
}
