/**
 * Watches: a replay of the history from a resourceVersion, then every change in the turn in which it is committed. Ends
 * with the client, the timeout or the server; a client that does not read is cut off.
 */
import type { ServerResponse } from 'node:http';
import { expired } from '../api-error.ts';
import type { JsonObject, KubeObject } from '../objects.ts';
import { apiVersionOf, type ResourceDefinition, tableOf } from '../resource.ts';
import { type Change, type ChangeType, type Store, spaceOf } from '../store.ts';
import type { ObjectPredicate } from './list.ts';
import type { Representation } from './representation.ts';

export interface WatchRequest {
  readonly definition: ResourceDefinition;
  readonly namespace: string | undefined;
  readonly selected: ObjectPredicate;
  readonly representation: Representation;
  /** Undefined: first the objects of now as ADDED, then the changes. */
  readonly since: number | undefined;
  /** Tells the end of the first objects by a bookmark. */
  readonly marksInitialEnd: boolean;
  readonly bookmarks: boolean;
  readonly timeoutSeconds: number;
}

/** Unread bytes after which a watcher is cut off; it will list again. */
const MOST_UNREAD = 64 * 1024 * 1024;

export class Watch {
  readonly #store: Store;
  readonly #request: WatchRequest;
  readonly #response: ServerResponse;
  readonly #stop: () => void;
  readonly #timer: NodeJS.Timeout;
  #sent: number;

  constructor(store: Store, request: WatchRequest, response: ServerResponse) {
    this.#store = store;
    this.#request = request;
    this.#response = response;
    this.#sent = store.revision;
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    response.flushHeaders();
    this.#timer = setTimeout(() => this.end(), request.timeoutSeconds * 1000);
    this.#stop = store.subscribe(tableOf(request.definition), (change) => this.#hear(change));
    response.once('close', () => this.#release());
    if (request.since === undefined) this.#sendAll();
    else this.#replay(request.since);
  }

  /** With a last bookmark, so that the client can go on from there. */
  end(): void {
    this.bookmark();
    this.#release();
    this.#response.end();
  }

  bookmark(annotations?: { readonly [key: string]: string }): void {
    if (!this.#request.bookmarks) return;
    const { definition } = this.#request;
    const metadata = { resourceVersion: String(this.#store.revision), creationTimestamp: null, annotations };
    this.#write('BOOKMARK', { kind: definition.kind, apiVersion: apiVersionOf(definition), metadata });
  }

  #sendAll(): void {
    const { definition, namespace, selected, representation } = this.#request;
    for (const object of this.#store.list(tableOf(definition), namespace).filter(selected)) {
      this.#write('ADDED', representation.one(object));
    }
    if (this.#request.marksInitialEnd) this.bookmark({ 'k8s.io/initial-events-end': 'true' });
  }

  #replay(since: number): void {
    const missed = this.#store.changesSince(since);
    this.#sent = since;
    for (const change of missed ?? []) this.#hear(change);
    if (missed !== undefined) return;
    const error = expired(`too old resource version: ${since} (${this.#store.compactedRevision})`);
    this.#write('ERROR', error.toStatus());
    this.#release();
    this.#response.end();
  }

  #hear({ revision, table, type, object, previous }: Change): void {
    const { definition, namespace, selected, representation } = this.#request;
    if (revision <= this.#sent || table !== tableOf(definition)) return;
    this.#sent = revision;
    if (namespace !== undefined && spaceOf(object) !== namespace) return;
    const is = type !== 'DELETED' && selected(object);
    const was = previous !== undefined && selected(previous);
    if (is) this.#write(was ? 'MODIFIED' : 'ADDED', representation.one(object));
    else if (was) this.#write('DELETED', representation.one(atRevision(previous, object)));
  }

  #write(type: ChangeType | 'BOOKMARK' | 'ERROR', object: JsonObject): void {
    this.#response.write(`${JSON.stringify({ type, object })}\n`);
    if (this.#response.writableLength > MOST_UNREAD) this.#response.destroy();
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.#stop();
  }
}

/** What left a selection is told by its last state that was in it. */
const atRevision = (previous: KubeObject, { metadata: { resourceVersion } }: KubeObject): KubeObject => ({
  ...previous,
  metadata: { ...previous.metadata, resourceVersion },
});
