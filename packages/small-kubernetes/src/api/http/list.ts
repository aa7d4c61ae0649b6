/** Lists: selection, paging with `limit` and `continue`, and the revision that a watch can go on from. */
import { badRequest, expired } from '../api-error.ts';
import { matchesFields, parseFieldSelector } from '../field-selector.ts';
import { matchesAll, parseLabelSelector } from '../label-selector.ts';
import type { KubeObject } from '../objects.ts';
import { type ResourceDefinition, tableOf } from '../resource.ts';
import { keyOf, type Store } from '../store.ts';
import type { ListFacts } from './representation.ts';
import { wholeNumber } from './request.ts';

export type ObjectPredicate = (object: KubeObject) => boolean;

export function selectionOf(definition: ResourceDefinition, query: URLSearchParams): ObjectPredicate {
  const labels = query.get('labelSelector');
  const fields = query.get('fieldSelector');
  const byLabels = labels ? matchesAll(parseLabelSelector(labels)) : undefined;
  const terms = fields ? parseFieldSelector(fields, definition.selectableFields) : [];
  return (object) =>
    (byLabels === undefined || byLabels(object.metadata.labels)) &&
    (terms.length === 0 || matchesFields(terms, object));
}

export interface ListAnswer extends ListFacts {
  readonly objects: readonly KubeObject[];
}

interface Position {
  readonly revision: number;
  /** Key of the last object of the page before. */
  readonly after: string;
}

export function listObjects(
  store: Store,
  definition: ResourceDefinition,
  namespace: string | undefined,
  query: URLSearchParams,
): ListAnswer {
  const limit = wholeNumber(query, 'limit') ?? 0;
  const token = query.get('continue');
  const position = token ? decodePosition(token) : undefined;
  const revision = position?.revision ?? exactRevision(query) ?? store.revision;
  const all = store.listAt(revision, tableOf(definition), namespace);
  if (all === undefined || revision > store.revision) {
    throw expired(
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.',
    );
  }
  const rest = position ? all.slice(all.findIndex((object) => keyOf(object) === position.after) + 1) : all;
  const selected = rest.filter(selectionOf(definition, query));
  const objects = limit > 0 ? selected.slice(0, limit) : selected;
  const last = objects.at(-1);
  const remaining = selected.length - objects.length;
  if (remaining === 0 || last === undefined) return { objects, revision };
  return { objects, revision, remaining, continueToken: encodePosition({ revision, after: keyOf(last) }) };
}

/** `resourceVersionMatch=Exact`. Otherwise every list is of now, which is never older than what was asked for. */
function exactRevision(query: URLSearchParams): number | undefined {
  return query.get('resourceVersionMatch') === 'Exact' ? wholeNumber(query, 'resourceVersion') : undefined;
}

const encodePosition = (position: Position): string => Buffer.from(JSON.stringify(position)).toString('base64url');

function decodePosition(token: string): Position {
  try {
    const { revision, after } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as Partial<Position>;
    if (Number.isSafeInteger(revision) && typeof after === 'string') return { revision: Number(revision), after };
  } catch {
    // Falls through: a token that is no JSON is as wrong as one of another shape.
  }
  throw badRequest(`continue key is not valid: current value is ${JSON.stringify(token)}`);
}
