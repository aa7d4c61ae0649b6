/**
 * Strategic merge patch: a merge patch in which some lists merge by a key. Knows the directives that kubectl sends:
 * `$patch` (replace, delete, merge) in maps, `$patch: delete` in list items, `$setElementOrder/LIST`, `$deleteFromPrimitiveList/LIST`
 * and `$retainKeys`. Which lists merge, and by which key, comes in as a `MergeNode`; unknown lists are replaced whole.
 */
import { badRequest } from '../api-error.ts';
import { isJsonObject, type JsonObject } from '../objects.ts';
import type { MergeNode } from './merge-keys.ts';

const ORDER = '$setElementOrder/';
const DELETE_VALUES = '$deleteFromPrimitiveList/';

export function applyStrategicMerge(target: JsonObject, patch: JsonObject, node: MergeNode = {}): JsonObject {
  const directive = patch['$patch'];
  if (directive === 'replace') return withoutNulls(withoutDirectives(patch));
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') throw unknownDirective(directive);
  const result = retained(target, patch['$retainKeys']);
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(DELETE_VALUES)) {
      const list = key.slice(DELETE_VALUES.length);
      const old = result.get(list);
      if (Array.isArray(old) && Array.isArray(value))
        result.set(
          list,
          old.filter((item) => !value.includes(item)),
        );
    } else if (!key.startsWith('$')) {
      const merged = mergeField(result.get(key), value, node.fields?.[key] ?? {});
      if (merged === undefined) result.delete(key);
      else result.set(key, merged);
    }
  }
  for (const [key, order] of Object.entries(patch)) {
    const list = key.startsWith(ORDER) ? key.slice(ORDER.length) : '';
    const items = result.get(list);
    if (Array.isArray(items) && Array.isArray(order)) result.set(list, ordered(items, order, node.fields?.[list]));
  }
  return Object.fromEntries(result);
}

/** `undefined` removes the field. */
function mergeField(old: unknown, value: unknown, node: MergeNode): unknown {
  if (value === null) return undefined;
  if (isJsonObject(value)) return applyStrategicMerge(isJsonObject(old) ? old : {}, value, node);
  if (!Array.isArray(value)) return value;
  if (node.set) return [...new Set([...(Array.isArray(old) ? old : []), ...value])];
  if (node.key === undefined) return value.map((item: unknown) => (isJsonObject(item) ? withoutNulls(item) : item));
  return mergeList(Array.isArray(old) ? old : [], value, node);
}

/** New items go first. */
function mergeList(old: readonly unknown[], items: readonly unknown[], node: MergeNode): unknown[] {
  const result = [...old];
  const added: unknown[] = [];
  for (const item of items) {
    if (!isJsonObject(item) || item[node.key ?? ''] === undefined) {
      throw badRequest(`Cannot apply strategic merge patch: expected each item to have ${JSON.stringify(node.key)}`);
    }
    const at = indexOfItem(result, item, node);
    if (item['$patch'] === 'delete') {
      if (at >= 0) result.splice(at, 1);
      continue;
    }
    const { fields } = node;
    const inner: MergeNode = fields ? { fields } : {};
    const existing = at >= 0 ? result[at] : undefined;
    const merged = applyStrategicMerge(isJsonObject(existing) ? existing : {}, item, inner);
    if (at >= 0) result[at] = merged;
    else added.push(merged);
  }
  return [...added, ...result];
}

function indexOfItem(list: readonly unknown[], wanted: JsonObject, { key = '', tieBreaker }: MergeNode): number {
  const same = list.flatMap((item, at) => (isJsonObject(item) && item[key] === wanted[key] ? [{ item, at }] : []));
  if (tieBreaker === undefined || wanted[tieBreaker] === undefined) return same[0]?.at ?? -1;
  const exact = same.find(({ item }) => item[tieBreaker] === wanted[tieBreaker]);
  if (exact) return exact.at;
  return same.find(({ item }) => item[tieBreaker] === undefined)?.at ?? -1;
}

/** Those that the order names go first, in its order. */
function ordered(items: readonly unknown[], order: readonly unknown[], { key }: MergeNode = {}): unknown[] {
  const idOf = (item: unknown) => (key !== undefined && isJsonObject(item) ? item[key] : item);
  const places = order.map(idOf);
  const placeOf = (item: unknown) => (places.includes(idOf(item)) ? places.indexOf(idOf(item)) : places.length);
  return items.toSorted((a, b) => placeOf(a) - placeOf(b));
}

function retained(target: JsonObject, keys: unknown): Map<string, unknown> {
  const entries = Object.entries(target);
  return new Map(Array.isArray(keys) ? entries.filter(([key]) => keys.includes(key)) : entries);
}

const withoutDirectives = (map: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(map).filter(([key]) => !key.startsWith('$')));

function withoutNulls(map: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(map).flatMap(([key, value]) => {
      if (value === null) return [];
      return [[key, isJsonObject(value) ? withoutNulls(value) : value] as const];
    }),
  );
}

const unknownDirective = (directive: unknown) =>
  badRequest(`Cannot apply strategic merge patch: unknown $patch type: current value is ${JSON.stringify(directive)}`);
