/** Metadata that the server itself fills in and guards: names, namespaces, uids, generations. */
import { randomInt, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { ApiError, badRequest, type Cause, conflict, invalidValue, MODIFIED_MEANWHILE, required } from './api-error.ts';
import { isLabelKey, isLabelValue } from './label-selector.ts';
import { draftOf, isJsonObject, type JsonObject, type KubeObject, type Metadata, timestamp } from './objects.ts';
import { apiVersionOf, type ResourceDefinition } from './resource.ts';

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** Without vowels and look-alikes, as Kubernetes does. */
const SUFFIX_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

/** The object of a request body, of the right kind and in the right namespace. A copy. */
export function draftFromBody(definition: ResourceDefinition, namespace: string, body: unknown): KubeObject {
  if (!isJsonObject(body)) throw badRequest('the body of the request was not a JSON or YAML object');
  const { apiVersion = apiVersionOf(definition), kind = definition.kind } = body;
  if (apiVersion !== apiVersionOf(definition) || kind !== definition.kind) {
    throw badRequest(
      `${kind} in version "${apiVersion}" cannot be handled as a ${definition.kind} in version "${apiVersionOf(definition)}"`,
    );
  }
  const metadata: JsonObject = isJsonObject(body['metadata']) ? { ...body['metadata'] } : {};
  delete metadata['managedFields'];
  delete metadata['selfLink'];
  if (!definition.namespaced) delete metadata['namespace'];
  else if ((metadata['namespace'] ?? namespace) !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  } else metadata['namespace'] = namespace;
  for (const field of ['labels', 'annotations'] as const) {
    const map = metadata[field];
    if (map === null || (isJsonObject(map) && Object.keys(map).length === 0)) delete metadata[field];
  }
  return { apiVersion, kind, ...draftOf({ ...body, metadata }) } as unknown as KubeObject;
}

/** Fills in what a new object gets. `taken` says which names are in use. */
export function stampNew(draft: KubeObject, now: Date, taken: (name: string) => boolean): void {
  const { metadata } = draft;
  if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
  if (!metadata.name && metadata.generateName) {
    do metadata.name = `${metadata.generateName.slice(0, 58)}${suffix()}`;
    while (taken(metadata.name));
  }
  metadata.uid = randomUUID();
  metadata.creationTimestamp = timestamp(now);
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.generation;
}

const suffix = () => Array.from({ length: 5 }, () => SUFFIX_LETTERS[randomInt(SUFFIX_LETTERS.length)]).join('');

/** Keeps what an update may not change. Throws 409 when the caller saw another state than `current`. */
export function carryMetadata(definition: ResourceDefinition, draft: KubeObject, current: KubeObject): void {
  const { name, namespace, uid, creationTimestamp, generation, deletionTimestamp, deletionGracePeriodSeconds } =
    current.metadata;
  const given: Partial<Metadata> = draft.metadata;
  if (given.name !== undefined && given.name !== name) {
    throw badRequest(`the name of the object (${given.name}) does not match the name on the URL (${name})`);
  }
  if (given.resourceVersion && given.resourceVersion !== current.metadata.resourceVersion) {
    throw conflict(definition, name, MODIFIED_MEANWHILE);
  }
  if (given.uid && given.uid !== uid) {
    throw conflict(
      definition,
      name,
      `Precondition failed: UID in precondition: ${given.uid}, UID in object meta: ${uid}`,
    );
  }
  const kept = { namespace, generation, deletionTimestamp, deletionGracePeriodSeconds };
  Object.assign(draft.metadata, { name, uid, creationTimestamp, resourceVersion: current.metadata.resourceVersion });
  for (const [field, value] of Object.entries(kept)) {
    if (value === undefined) delete (draft.metadata as unknown as JsonObject)[field];
    else Object.assign(draft.metadata, { [field]: value });
  }
}

/** Counts a change of anything but metadata and status. */
export function countGeneration(
  definition: ResourceDefinition,
  draft: KubeObject,
  current: KubeObject | undefined,
): void {
  if (!definition.countsGenerations) return;
  const last = current?.metadata.generation ?? 0;
  draft.metadata.generation =
    current && isDeepStrictEqual(desired(definition, draft), desired(definition, current)) ? last : last + 1;
}

function desired({ hasStatus }: ResourceDefinition, object: KubeObject): JsonObject {
  const { metadata: _, status, ...rest } = object;
  return hasStatus ? rest : { ...rest, status };
}

export function validateMetadata(definition: ResourceDefinition, { metadata }: KubeObject): Cause[] {
  const { name, labels = {}, annotations = {} } = metadata;
  if (!name) return [required('metadata.name', 'name or generateName is required')];
  const causes: Cause[] = [];
  const asLabel = definition.group === '' && ['services', 'namespaces'].includes(definition.resource);
  if (asLabel ? !LABEL.test(name) || name.length > 63 : !SUBDOMAIN.test(name) || name.length > 253) {
    const what = asLabel ? 'RFC 1123 label' : 'RFC 1123 subdomain';
    causes.push(
      invalidValue(
        'metadata.name',
        name,
        `a lowercase ${what} must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character`,
      ),
    );
  }
  for (const [key, value] of Object.entries(labels)) {
    if (!isLabelKey(key))
      causes.push(
        invalidValue('metadata.labels', key, "name part must consist of alphanumeric characters, '-', '_' or '.'"),
      );
    if (typeof value !== 'string' || !isLabelValue(value)) {
      causes.push(
        invalidValue(
          'metadata.labels',
          value,
          "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'",
        ),
      );
    }
  }
  for (const [key, value] of Object.entries(annotations)) {
    if (!isLabelKey(key.toLowerCase()))
      causes.push(
        invalidValue('metadata.annotations', key, "name part must consist of alphanumeric characters, '-', '_' or '.'"),
      );
    if (typeof value !== 'string')
      throw new ApiError(
        400,
        'BadRequest',
        `metadata.annotations[${key}]: expected a string: current value is ${JSON.stringify(value)}`,
      );
  }
  return causes;
}
