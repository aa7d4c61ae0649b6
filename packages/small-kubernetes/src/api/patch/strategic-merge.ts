/**
 * Strategic merge patch: a merge patch in which some lists merge by a key. Knows the directives that kubectl sends:
 * `$patch: replace` and `$patch: delete`, `$setElementOrder/LIST`, `$deleteFromPrimitiveList/LIST` and `$retainKeys`.
 * Which lists merge, and by which key, comes in as a `MergeNode`; unknown lists are replaced whole.
 */
import { badRequest } from '../api-error.ts';
import { isJsonObject, type JsonObject } from '../objects.ts';
import type { MergeNode } from './merge-keys.ts';

export function applyStrategicMerge(target: JsonObject, patch: JsonObject, node: MergeNode = {}): JsonObject {
  const { $patch: directive, $retainKeys: kept } = patch;
  if (directive === 'delete') return {};
  const old = Object.entries(directive === 'replace' ? {} : target);
  const result = Object.fromEntries(Array.isArray(kept) ? old.filter(([key]) => kept.includes(key)) : old);
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue;
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value, node.fields?.[key] ?? {});
  }
  for (const [key, value] of Object.entries(patch)) {
    const [, what, list = ''] = /^\$(setElementOrder|deleteFromPrimitiveList)\/(.*)$/.exec(key) ?? [];
    const items = result[list];
    if (!Array.isArray(items) || !Array.isArray(value)) continue;
    const isLeft = (item: unknown) => !value.includes(item);
    result[list] = what === 'setElementOrder' ? ordered(items, value, node.fields?.[list]) : items.filter(isLeft);
  }
  return result;
}

function merged(old: unknown, value: unknown, node: MergeNode): unknown {
  if (isJsonObject(value)) return applyStrategicMerge(isJsonObject(old) ? old : {}, value, node);
  if (!Array.isArray(value)) return value;
  const before: readonly unknown[] = Array.isArray(old) ? old : [];
  if (node.set) return [...new Set([...before, ...value])];
  if (node.key !== undefined) return mergedList(before, value, node);
  return value.map((item: unknown) => (isJsonObject(item) ? applyStrategicMerge({}, item) : item));
}

/** New items go first. */
function mergedList(old: readonly unknown[], items: readonly unknown[], node: MergeNode): unknown[] {
  const result = [...old];
  const added: unknown[] = [];
  for (const item of items) {
    if (!isJsonObject(item) || item[node.key ?? ''] === undefined) {
      throw badRequest(`Cannot apply strategic merge patch: expected each item to have ${JSON.stringify(node.key)}`);
    }
    const at = result.findIndex((other) => isJsonObject(other) && isSame(other, item, node));
    if (item['$patch'] === 'delete') result.splice(at, at < 0 ? 0 : 1);
    else {
      const next = merged(result[at], item, { fields: node.fields ?? {} });
      if (at < 0) added.push(next);
      else result[at] = next;
    }
  }
  return [...added, ...result];
}

/** Ports of one number differ by their protocols, if both name one. */
function isSame(a: JsonObject, b: JsonObject, { key = '', tieBreaker = key }: MergeNode): boolean {
  return a[key] === b[key] && (a[tieBreaker] ?? b[tieBreaker]) === (b[tieBreaker] ?? a[tieBreaker]);
}

/** Those that the order names go first, in its order. */
function ordered(items: readonly unknown[], order: readonly unknown[], { key }: MergeNode = {}): unknown[] {
  const idOf = (item: unknown) => (key !== undefined && isJsonObject(item) ? item[key] : item);
  const places = order.map(idOf);
  const placeOf = (item: unknown) => (places.includes(idOf(item)) ? places.indexOf(idOf(item)) : places.length);
  return items.toSorted((a, b) => placeOf(a) - placeOf(b));
}
