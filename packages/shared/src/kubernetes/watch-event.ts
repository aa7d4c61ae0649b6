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

/** Throws `LostTrack`. */
export function decodeWatchEvent(line: string): WatchEvent {
  const event = parsed(line);
  if (!isJson(event) || !isJson(event['object'])) throw undecodable(line);
  const object = event['object'];
  switch (event['type']) {
    case 'ADDED':
    case 'MODIFIED':
      return { kind: 'present', raw: rawObject(object) };
    case 'DELETED':
      return { kind: 'gone', raw: rawObject(object) };
    case 'BOOKMARK':
      return { kind: 'bookmark', raw: rawObject(object) };
    case 'ERROR':
      return { kind: 'error', code: Number(object['code']) || 0, message: textOf(object['message']) };
    default:
      throw undecodable(line);
  }
}

/** Throws when the answer is not a list. */
export function decodeListPage(text: string): ListPage {
  const body: unknown = JSON.parse(text);
  const metadata = isJson(body) ? body['metadata'] : undefined;
  const items = isJson(body) ? (body['items'] ?? []) : undefined;
  const resourceVersion = isJson(metadata) ? textOf(metadata['resourceVersion']) : '';
  if (!isJson(metadata) || !Array.isArray(items) || resourceVersion === '') {
    throw new Error('Cannot read listing: expected items and metadata.resourceVersion');
  }
  return { items: items.map(rawObject), resourceVersion, next: textOf(metadata['continue']), size: text.length };
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

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw undecodable(line);
  }
}

const undecodable = (line: string) =>
  new LostTrack(`Cannot decode watch event: expected type and object: current value is ${line.slice(0, 200)}`);
