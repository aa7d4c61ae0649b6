/**
 * Who set which fields of an object (`metadata.managedFields`). Somebody who updates owns what he changed, and takes it
 * from all others; somebody who applies owns all that he applied, together with others who applied the same. Pure.
 */
import { ApiError } from '../api-error.ts';
import type { JsonObject, KubeObject, ManagedFields } from '../objects.ts';
import type { MergeNode } from '../patch/merge-keys.ts';
import { type FieldPath, fieldsOf, fromFieldsV1, merged, toFieldsV1, withoutFields, wordsFor } from './field-set.ts';

/** Who writes, and when. */
export interface Writer {
  readonly manager: string;
  readonly subresource?: string;
  readonly time: string;
}

interface Owner {
  readonly entry: ManagedFields;
  readonly fields: Set<FieldPath>;
}

/** After an update from `before` (undefined when it is new) to `after`. `books` are those that the update began with. */
export function afterUpdate(
  before: KubeObject | undefined,
  after: KubeObject,
  books: readonly ManagedFields[],
  writer: Writer,
  node: MergeNode,
): ManagedFields[] {
  const old = before ? fieldsOf(before, node) : new Map<FieldPath, string>();
  const now = fieldsOf(after, node);
  const changed = new Set([...now.keys()].filter((path) => old.get(path) !== now.get(path)));
  const owners = ownersOf(books, (path) => now.has(path) && !changed.has(path));
  const own = owners.find(({ entry }) => isBy(entry, writer, 'Update'));
  if (own && changed.size > 0) for (const path of changed) own.fields.add(path);
  else if (changed.size > 0) owners.push({ entry: entryOf(after, writer, 'Update'), fields: changed });
  return write(owners, books, writer);
}

export interface Applied {
  readonly object: KubeObject;
  readonly managedFields: ManagedFields[];
}

/**
 * What becomes of `live` when somebody applies `config`: its fields are set, and fields that he applied before and does
 * not any more go, unless somebody else owns them. Throws 409 when a field has another value that somebody else set.
 */
export function applied(
  live: KubeObject | undefined,
  config: KubeObject,
  writer: Writer & { readonly force: boolean },
  node: MergeNode,
): Applied {
  const books = live?.metadata.managedFields ?? [];
  const wanted = fieldsOf(config, node);
  const current = live ? fieldsOf(live, node) : new Map<FieldPath, string>();
  const others = ownersOf(books).filter(({ entry }) => !isBy(entry, writer, 'Apply'));
  const contested = [...wanted].filter(([path, value]) => current.has(path) && current.get(path) !== value);
  // What kubectl applied in its older way it may go on with in this one.
  const strangers = others.filter(({ entry }) => !(writer.manager === 'kubectl' && entry.manager === CLIENT_SIDE));
  if (!writer.force) refuseConflicts(strangers, contested);
  for (const { fields } of others) for (const [path] of contested) fields.delete(path);
  const before = ownersOf(books).find(({ entry }) => isBy(entry, writer, 'Apply'))?.fields ?? [];
  const kept = others.flatMap(({ fields }) => [...fields]);
  const dropped = [...before].filter((path) => !wanted.has(path) && !kept.some((other) => other.startsWith(path)));
  const rest = live ? withoutFields(live, node, new Set(dropped)) : config;
  const object = merged(rest, config, node) as KubeObject;
  const own = { entry: entryOf(config, writer, 'Apply'), fields: new Set(wanted.keys()) };
  return { object, managedFields: write([...others, own], books, writer) };
}

const CLIENT_SIDE = 'kubectl-client-side-apply';

function refuseConflicts(owners: readonly Owner[], contested: readonly (readonly [FieldPath, string])[]): void {
  const conflicts = owners.flatMap(({ entry, fields }) =>
    contested.filter(([path]) => fields.has(path)).map(([path]) => ({ who: nameOf(entry), field: wordsFor(path) })),
  );
  if (conflicts.length === 0) return;
  const groups = [...Map.groupBy(conflicts, ({ who }) => who)].sort(([a], [b]) => (a < b ? -1 : 1));
  const text =
    conflicts.length === 1
      ? `1 conflict: conflict with ${conflicts[0]?.who}: ${conflicts[0]?.field}`
      : `${conflicts.length} conflicts: ${groups.map(([who, of]) => [`conflicts with ${who}:`, ...of.map(({ field }) => `- ${field}`)].join('\n')).join('\n')}`;
  const causes = conflicts.map(({ who, field }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${who}`,
    field,
  }));
  throw new ApiError(409, 'Conflict', `Apply failed with ${text}`, { causes });
}

const nameOf = ({ manager, operation, subresource, apiVersion }: ManagedFields): string => {
  const of = subresource ? ` with subresource ${JSON.stringify(subresource)}` : '';
  return `${JSON.stringify(manager)}${of}${operation === 'Update' ? ` using ${apiVersion}` : ''}`;
};

const isBy = (entry: ManagedFields, { manager, subresource }: Writer, operation: Operation) =>
  entry.manager === manager && entry.operation === operation && entry.subresource === subresource;

type Operation = ManagedFields['operation'];

function entryOf({ apiVersion }: KubeObject, { manager, subresource }: Writer, operation: Operation): ManagedFields {
  const who = { manager, operation, ...(subresource && { subresource }) };
  return { ...who, apiVersion, fieldsType: 'FieldsV1', fieldsV1: {} };
}

const ownersOf = (books: readonly ManagedFields[], keep = (_: FieldPath) => true): Owner[] =>
  books.map((entry) => ({ entry, fields: new Set(fromFieldsV1(entry.fieldsV1).filter(keep)) }));

/** An entry that says the same as before keeps its time; one that says nothing goes. */
function write(owners: readonly Owner[], before: readonly ManagedFields[], { time }: Writer): ManagedFields[] {
  const entries = owners
    .filter(({ fields }) => fields.size > 0)
    .map(({ entry, fields }): ManagedFields => {
      const fieldsV1: JsonObject = toFieldsV1(fields);
      const old = before.find((other) => isBy(other, { ...entry, time } as Writer, entry.operation));
      const isSame = old && JSON.stringify(toFieldsV1(fromFieldsV1(old.fieldsV1))) === JSON.stringify(fieldsV1);
      return isSame ? old : { ...entry, time, fieldsV1 };
    });
  const rank = ({ operation, time = '', manager }: ManagedFields) => `${operation} ${time} ${manager}`;
  return entries.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}
