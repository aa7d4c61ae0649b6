/** What a list and a watch answer, decoded. Pure. Objects without a name are kept apart; converters check the rest. */
import { isJson, type Json } from './json.ts';

export interface RawObject {
  /** `namespace/name`, or the name where there is no namespace. Empty when the object has no name. */
  readonly key: string;
  /** Empty when absent. */
  readonly resourceVersion: string;
  readonly object: Json;
}

export type WatchEvent =
  /** A bookmark has a `resourceVersion` only. */
  | { readonly kind: 'present' | 'gone' | 'bookmark'; readonly raw: RawObject }
  /** The server ends the watch; 410 says that its history no longer reaches back to where we are. */
  | { readonly kind: 'error'; readonly code: number; readonly message: string };

export interface ListPage {
  readonly items: readonly RawObject[];
  readonly resourceVersion: string;
  /** Empty on the last page. */
  readonly next: string;
  /** Characters. */
  readonly size: number;
}

/** Events may have been lost: only a new listing helps. */
export class LostTrack extends Error {}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

const KINDS: ReadonlyMap<unknown, WatchEvent['kind']> = new Map([
  ['ADDED', 'present'],
  ['MODIFIED', 'present'],
  ['DELETED', 'gone'],
  ['BOOKMARK', 'bookmark'],
  ['ERROR', 'error'],
]);

/** Throws `LostTrack`. */
export function decodeWatchEvent(line: string): WatchEvent {
  const { type, object } = parsed(line);
  const kind = KINDS.get(type);
  if (!kind || !isJson(object)) {
    const expected = 'expected type and object';
    throw new LostTrack(`Cannot decode watch event: ${expected}: current value is ${line.slice(0, 200)}`);
  }
  if (kind !== 'error') return { kind, raw: rawObject(object) };
  return { kind, code: Number(object['code']) || 0, message: textOf(object['message']) };
}

/** Empty when it is no object in JSON. */
function parsed(line: string): Json {
  try {
    const value: unknown = JSON.parse(line);
    return isJson(value) ? value : {};
  } catch {
    return {};
  }
}

/** Throws when the answer is not a list. */
export function decodeListPage(text: string): ListPage {
  const { metadata, items }: { metadata?: unknown; items?: unknown } = JSON.parse(text) ?? {};
  const { resourceVersion, continue: next } = isJson(metadata) ? metadata : {};
  const objects = items ?? [];
  if (!Array.isArray(objects) || textOf(resourceVersion) === '') {
    throw new Error('Cannot read listing: expected items and metadata.resourceVersion');
  }
  return {
    items: objects.map(rawObject),
    resourceVersion: textOf(resourceVersion),
    next: textOf(next),
    size: text.length,
  };
}

function rawObject(value: unknown): RawObject {
  const object = isJson(value) ? value : {};
  const metadata = isJson(object['metadata']) ? object['metadata'] : {};
  const name = textOf(metadata['name']);
  const namespace = textOf(metadata['namespace']);
  return {
    key: namespace === '' || name === '' ? name : `${namespace}/${name}`,
    resourceVersion: textOf(metadata['resourceVersion']),
    object,
  };
}
