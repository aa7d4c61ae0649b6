/** Lists: selection, paging with `limit` and `continue`, and the revision that a watch can go on from. */
import { badRequest, expired } from '../api-error.ts';
import { parseFieldSelector } from '../field-selector.ts';
import { parseLabelSelector } from '../label-selector.ts';
import type { KubeObject } from '../objects.ts';
import { type ResourceDefinition, tableOf } from '../resource.ts';
import { keyOf, type Store } from '../store.ts';
import type { ListFacts } from './representation.ts';
import { wholeNumber } from './request.ts';

export type ObjectPredicate = (object: KubeObject) => boolean;

export function selectionOf(definition: ResourceDefinition, query: URLSearchParams): ObjectPredicate {
  const byLabels = parseLabelSelector(query.get('labelSelector') ?? '');
  const byFields = parseFieldSelector(query.get('fieldSelector') ?? '', definition.selectableFields);
  return (object) => byLabels(object.metadata.labels) && byFields(object);
}

export interface ListAnswer extends ListFacts {
  readonly objects: readonly KubeObject[];
}

export function listObjects(
  store: Store,
  definition: ResourceDefinition,
  namespace: string | undefined,
  query: URLSearchParams,
): ListAnswer {
  const limit = wholeNumber(query, 'limit') || Number.POSITIVE_INFINITY;
  const token = query.get('continue');
  const position = token ? decodePosition(token) : undefined;
  // Otherwise every list is of now, which is never older than what was asked for.
  const exact = query.get('resourceVersionMatch') === 'Exact' ? wholeNumber(query, 'resourceVersion') : undefined;
  const revision = position?.revision ?? exact ?? store.revision;
  const all = store.listAt(revision, tableOf(definition), namespace);
  if (all === undefined) throw expired(position ? TOO_OLD_TO_CONTINUE : TOO_OLD);
  const rest = position ? all.slice(all.findIndex((object) => keyOf(object) === position.after) + 1) : all;
  const selected = rest.filter(selectionOf(definition, query));
  const objects = selected.slice(0, limit);
  const remaining = selected.length - objects.length;
  const last = objects.at(-1);
  if (remaining === 0 || last === undefined) return { objects, revision };
  const continueToken = Buffer.from(`${revision} ${keyOf(last)}`).toString('base64url');
  return { objects, revision, remaining, continueToken };
}

const TOO_OLD = 'The resourceVersion for the provided list is too old.';
const TOO_OLD_TO_CONTINUE =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.';

/** From where the next page goes on: `after` is the key of the last object of the page before. */
function decodePosition(token: string) {
  const [, revision, after] = /^(\d+) (.+)$/.exec(Buffer.from(token, 'base64url').toString()) ?? [];
  if (after === undefined) throw badRequest('continue key is not valid');
  return { revision: Number(revision), after };
}
