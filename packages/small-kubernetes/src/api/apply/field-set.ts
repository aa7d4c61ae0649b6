/**
 * Sets of fields, as `managedFields` writes them down: which fields of an object somebody set. A field is a path of
 * steps: `f:NAME` into a map, `k:{"port":80,"protocol":"TCP"}` to an item of a list that merges by key, `v:"x"` to one
 * of a list that merges as a set. Only leaves are fields, and items of lists. Pure.
 */
import { isJsonObject, type JsonObject } from '../objects.ts';
import type { MergeNode } from '../patch/merge-keys.ts';

/** Steps joined by newlines, which no step contains. */
export type FieldPath = string;

const SEPARATOR = '\n';

/** What identifies an object belongs to nobody. */
const NOBODYS =
  /^f:(apiVersion|kind|metadata\nf:(name|namespace|uid|creationTimestamp|generation|resourceVersion|managedFields))$/;

/** The value of each field, as JSON. That an item is there at all has the value ''. */
export function fieldsOf(object: JsonObject, node: MergeNode): Map<FieldPath, string> {
  const fields = new Map<FieldPath, string>();
  walk(object, node, [], (path, value) => fields.set(path, value));
  for (const path of fields.keys()) if (NOBODYS.test(path)) fields.delete(path);
  return fields;
}

function walk(value: unknown, node: MergeNode, path: readonly string[], found: (path: FieldPath, v: string) => void) {
  const leaf = (steps: readonly string[], content: string) => found(steps.join(SEPARATOR), content);
  if (isJsonObject(value) && !node.atomic && Object.keys(value).length > 0) {
    for (const [name, inner] of Object.entries(value)) walk(inner, below(node, name), [...path, `f:${name}`], found);
  } else if (Array.isArray(value) && node.set) {
    for (const item of value) leaf([...path, `v:${JSON.stringify(item)}`], '');
  } else if (Array.isArray(value) && node.key !== undefined) {
    for (const item of value.filter(isJsonObject)) {
      const here = [...path, itemStep(item, node)];
      leaf(here, '');
      walk(item, itemNode(node), here, found);
    }
  } else leaf(path, JSON.stringify(value));
}

const below = (node: MergeNode, name: string): MergeNode => node.fields?.[name] ?? {};

/** The node of one item of a list. */
const itemNode = ({ fields = {} }: MergeNode): MergeNode => ({ fields });

function itemStep(item: JsonObject, { key = '', tieBreaker }: MergeNode): string {
  const keys = { [key]: item[key], ...(tieBreaker && { [tieBreaker]: item[tieBreaker] ?? 'TCP' }) };
  return `k:${JSON.stringify(keys)}`;
}

/** `{"f:data": {"f:a": {}}}`; an item that is a field itself has a `.`. */
export function toFieldsV1(paths: Iterable<FieldPath>): JsonObject {
  const root: JsonObject = {};
  for (const path of [...paths].sort()) {
    const steps = path.split(SEPARATOR);
    let at = root;
    for (const step of steps) {
      at[step] ??= {};
      at = at[step] as JsonObject;
    }
    if (steps.at(-1)?.startsWith('k:')) at['.'] = {};
  }
  return root;
}

export function fromFieldsV1(fieldsV1: unknown, prefix: readonly string[] = []): FieldPath[] {
  if (!isJsonObject(fieldsV1)) return [];
  const steps = Object.entries(fieldsV1);
  // A map that somebody else's books name as a field of its own tells nothing more than its members do.
  if (steps.length === 0) return [prefix.join(SEPARATOR)];
  return steps.flatMap(([step, inner]) => {
    if (step !== '.') return fromFieldsV1(inner, [...prefix, step]);
    return prefix.at(-1)?.startsWith('k:') ? [prefix.join(SEPARATOR)] : [];
  });
}

/** `.spec.ports[port=80,protocol="TCP"].name`, as conflicts name a field. */
export function wordsFor(path: FieldPath): string {
  return path
    .split(SEPARATOR)
    .map((step) => {
      const text = step.slice(2);
      if (step.startsWith('f:')) return `.${text}`;
      if (step.startsWith('v:')) return `[=${text}]`;
      const keys = Object.entries(JSON.parse(text) as JsonObject);
      return `[${keys.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`;
    })
    .join('');
}

/** Sets the fields of a configuration in an object: maps and lists with keys merge, all else is replaced. */
export function merged(live: unknown, config: unknown, node: MergeNode): unknown {
  if (isJsonObject(live) && isJsonObject(config) && !node.atomic) {
    const fields = Object.entries(config).map(([name, value]) => [name, merged(live[name], value, below(node, name))]);
    return { ...live, ...Object.fromEntries(fields) };
  }
  if (!Array.isArray(live) || !Array.isArray(config) || !(node.set || node.key)) return config;
  const idOf = (item: unknown) => (isJsonObject(item) ? itemStep(item, node) : JSON.stringify(item));
  const items = new Map(live.map((item: unknown) => [idOf(item), item]));
  for (const item of config) items.set(idOf(item), merged(items.get(idOf(item)), item, itemNode(node)));
  return [...items.values()];
}

/** Takes fields out of an object, and the maps and lists that are empty then. */
export function withoutFields<T>(value: T, node: MergeNode, removed: ReadonlySet<FieldPath>, path: string[] = []): T {
  const isGone = (steps: string[]) => removed.has(steps.join(SEPARATOR));
  if (isJsonObject(value)) {
    const entries = Object.entries(value).flatMap(([name, old]) => {
      const here = [...path, `f:${name}`];
      if (isGone(here)) return [];
      const next = withoutFields(old, below(node, name), removed, here);
      return isEmpty(next) && !isEmpty(old) ? [] : [[name, next] as const];
    });
    return Object.fromEntries(entries) as T;
  }
  if (!Array.isArray(value) || !(node.set || node.key)) return value;
  const items = value.flatMap((item) => {
    const step = node.set ? `v:${JSON.stringify(item)}` : isJsonObject(item) ? itemStep(item, node) : '';
    const here = [...path, step];
    return isGone(here) ? [] : [withoutFields(item, itemNode(node), removed, here)];
  });
  return items as T;
}

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;
