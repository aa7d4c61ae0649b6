/**
 * Watches: a replay of the history from a resourceVersion, then every change in the turn in which it is committed. The
 * text of an event is made once and written to all watchers that want it as it is. Ends with the client, the timeout or
 * the server; a client that does not read is cut off.
 */
import type { ServerResponse } from 'node:http';
import { expired } from '../api-error.ts';
import { type KubeObject, setFieldAt } from '../objects.ts';
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

const shared = new WeakMap<KubeObject, Map<ChangeType, Buffer>>();

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
    this.#begin();
  }

  /** With a last bookmark, so that the client can go on from there. */
  end(): void {
    this.bookmark();
    this.#release();
    this.#response.end();
  }

  bookmark(annotations?: { [key: string]: string }): void {
    if (!this.#request.bookmarks) return;
    const { definition } = this.#request;
    const object = {
      kind: definition.kind,
      apiVersion: apiVersionOf(definition),
      metadata: { resourceVersion: String(this.#store.revision), creationTimestamp: null },
    };
    if (annotations) setFieldAt(object, ['metadata', 'annotations'], annotations);
    this.#write(`{"type":"BOOKMARK","object":${JSON.stringify(object)}}\n`);
  }

  #begin(): void {
    const { since } = this.#request;
    if (since === undefined) {
      this.#sendAll();
      return;
    }
    const missed = since > this.#store.revision ? undefined : this.#store.changesSince(since);
    if (missed === undefined) {
      const status = expired(`too old resource version: ${since} (${this.#store.compactedRevision})`).toStatus();
      this.#write(`{"type":"ERROR","object":${JSON.stringify(status)}}\n`);
      this.#release();
      this.#response.end();
      return;
    }
    this.#sent = since;
    for (const change of missed) this.#hear(change);
  }

  #sendAll(): void {
    const { definition, namespace, selected } = this.#request;
    for (const object of this.#store.list(tableOf(definition), namespace)) {
      if (selected(object)) this.#send('ADDED', object);
    }
    if (this.#request.marksInitialEnd) this.bookmark({ 'k8s.io/initial-events-end': 'true' });
  }

  #hear(change: Change): void {
    const { definition, namespace, selected } = this.#request;
    if (change.revision <= this.#sent || change.table !== tableOf(definition)) return;
    this.#sent = change.revision;
    const { type, object, previous } = change;
    if (namespace !== undefined && spaceOf(object) !== namespace) return;
    const is = type !== 'DELETED' && selected(object);
    const was = previous !== undefined && selected(previous);
    if (is) this.#send(was ? 'MODIFIED' : 'ADDED', object);
    else if (was) this.#send('DELETED', type === 'DELETED' ? object : atRevision(previous, object));
  }

  #send(type: ChangeType, object: KubeObject): void {
    this.#write(this.#request.representation.isPlain ? this.#sharedText(type, object) : this.#text(type, object));
  }

  #text(type: ChangeType, object: KubeObject): string {
    return `{"type":"${type}","object":${this.#request.representation.one(object)}}\n`;
  }

  #sharedText(type: ChangeType, object: KubeObject): Buffer | string {
    if (object.apiVersion !== apiVersionOf(this.#request.definition)) return this.#text(type, object);
    const texts = shared.get(object) ?? new Map<ChangeType, Buffer>();
    shared.set(object, texts);
    const known = texts.get(type);
    if (known) return known;
    const made = Buffer.from(this.#text(type, object));
    texts.set(type, made);
    return made;
  }

  #write(text: string | Buffer): void {
    this.#response.write(text);
    if (this.#response.writableLength > MOST_UNREAD) this.#response.destroy();
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.#stop();
  }
}

/** What left a selection is told by its last state that was in it. */
const atRevision = (previous: KubeObject, { metadata }: KubeObject): KubeObject => ({
  ...previous,
  metadata: { ...previous.metadata, resourceVersion: metadata.resourceVersion },
});
