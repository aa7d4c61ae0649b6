/** Metadata that the server itself fills in and guards: names, namespaces, uids, generations. */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  ApiError,
  badRequest,
  type Cause,
  conflict,
  invalid,
  invalidValue,
  MODIFIED_MEANWHILE,
  required,
} from './api-error.ts';
import { draftOf, isJsonObject, type JsonObject, type KubeObject, type Metadata, timestamp } from './objects.ts';
import { apiVersionOf, type ResourceDefinition } from './resource.ts';

const SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
/** The object of a request body, of the right kind and in the right namespace. A copy. */
export function draftFromBody(definition: ResourceDefinition, namespace: string, body: unknown): KubeObject {
  if (!isJsonObject(body)) throw badRequest('the body of the request was not a JSON or YAML object');
  const expected = { apiVersion: apiVersionOf(definition), kind: definition.kind };
  const { apiVersion, kind, ...rest } = { ...expected, ...body };
  if (apiVersion !== expected.apiVersion || kind !== expected.kind) {
    const given = `${kind} in version "${apiVersion}"`;
    throw badRequest(`${given} cannot be handled as a ${expected.kind} in version "${expected.apiVersion}"`);
  }
  const metadata: JsonObject = isJsonObject(body['metadata']) ? { ...body['metadata'] } : {};
  if (!definition.namespaced) delete metadata['namespace'];
  else if ((metadata['namespace'] ?? namespace) !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  } else metadata['namespace'] = namespace;
  for (const field of ['labels', 'annotations', 'finalizers', 'ownerReferences']) {
    if (Object.keys(metadata[field] ?? {}).length === 0) delete metadata[field];
  }
  return draftOf({ ...expected, ...rest, metadata }) as unknown as KubeObject;
}

/** Fills in what a new object gets. `taken` says which names are in use. */
export function stampNew(draft: KubeObject, taken: (name: string) => boolean): void {
  const { metadata } = draft;
  if (metadata.resourceVersion)
    throw new ApiError(500, '', 'resourceVersion should not be set on objects to be created');
  if (!metadata.name && metadata.generateName) {
    do metadata.name = `${metadata.generateName.slice(0, 58)}${randomUUID().slice(0, 5)}`;
    while (taken(metadata.name));
  }
  metadata.uid = randomUUID();
  metadata.creationTimestamp = timestamp(new Date());
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.generation;
}

export function checkName({ metadata: { name = '' } }: { metadata: Partial<Metadata> }, url: string): void {
  if (name === '' || name === url) return;
  throw badRequest(`the name of the object (${name}) does not match the name on the URL (${url})`);
}

/** Fields of the metadata that no request changes. */
const GUARDED = [
  ...['namespace', 'uid', 'creationTimestamp', 'generation', 'resourceVersion'],
  ...['deletionTimestamp', 'deletionGracePeriodSeconds'],
] as const;

/** Keeps what an update may not change. Throws 409 when the caller saw another state than `current`. */
export function carryMetadata(definition: ResourceDefinition, draft: KubeObject, current: KubeObject): void {
  const { name, uid, resourceVersion } = current.metadata;
  const given: Partial<Metadata> = draft.metadata;
  checkName(draft, name);
  if (given.uid && given.uid !== uid) {
    const why = `Precondition failed: UID in precondition: ${given.uid}, UID in object meta: ${uid}`;
    throw conflict(definition, name, why);
  }
  if (given.resourceVersion && given.resourceVersion !== resourceVersion) {
    throw conflict(definition, name, MODIFIED_MEANWHILE);
  }
  const { deletionTimestamp, finalizers: before = [] } = current.metadata;
  const more = (given.finalizers ?? []).filter((finalizer) => !before.includes(finalizer));
  if (deletionTimestamp !== undefined && more.length > 0) {
    const found = `[]string{${more.map((finalizer) => JSON.stringify(finalizer)).join(', ')}}`;
    const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${found}`;
    throw invalid(definition, name, [{ field: 'metadata.finalizers', reason: 'FieldValueForbidden', message }]);
  }
  for (const field of GUARDED) delete given[field];
  const kept = GUARDED.filter((field) => current.metadata[field] !== undefined);
  Object.assign(given, { name }, Object.fromEntries(kept.map((field) => [field, current.metadata[field]])));
}

/** Counts a change of anything but metadata and status. */
export function countGeneration(definition: ResourceDefinition, draft: KubeObject, current?: KubeObject): void {
  if (!definition.countsGenerations) return;
  const last = current?.metadata.generation ?? 0;
  const desired = ({ metadata: _, status: __, ...rest }: KubeObject) => rest;
  draft.metadata.generation = current && isDeepStrictEqual(desired(draft), desired(current)) ? last : last + 1;
}

export function validateName({ metadata: { name } }: KubeObject): Cause[] {
  if (!name) return [required('metadata.name', 'name or generateName is required')];
  return SUBDOMAIN.test(name) ? [] : [invalidValue('metadata.name', name, SUBDOMAIN_RULE)];
}
