/**
 * Create, update, patch and the rest as the API defines them, over the store: the one way in which objects change, for
 * HTTP requests and controllers alike. Everything is synchronous, so a read and the write that follows from it cannot
 * be torn apart. Refusals are thrown as `ApiError`.
 */
import { isDeepStrictEqual } from 'node:util';
import { alreadyExists, type Cause, conflict, forbidden, invalid, notFound } from './api-error.ts';
import {
  type DeleteOptions,
  type DeleteOutcome,
  finalizersFor,
  hasFinalizers,
  preconditionFailure,
  withDeletion,
} from './deletion.ts';
import { tables } from './kinds/typed.ts';
import { carryMetadata, countGeneration, draftFromBody, stampNew, validateMetadata } from './object-metadata.ts';
import { draftOf, fieldAt, type KubeObject, type NewObject } from './objects.ts';
import { type AllocationContext, type Registry, type ResourceDefinition, tableOf } from './resource.ts';
import type { Store } from './store.ts';

export interface WriteOptions {
  readonly dryRun?: boolean;
  /** `status` touches only the status; without it the status stays as it is. */
  readonly subresource?: 'status';
}

export interface OperationsOptions extends AllocationContext {
  readonly store: Store;
  readonly registry: Registry;
  readonly now?: () => Date;
}

export class Operations {
  readonly store: Store;
  readonly registry: Registry;
  readonly now: () => Date;
  readonly #context: AllocationContext;

  constructor({ store, registry, addresses, now = () => new Date() }: OperationsOptions) {
    this.store = store;
    this.registry = registry;
    this.now = now;
    this.#context = { addresses };
  }

  get(definition: ResourceDefinition, namespace: string, name: string): KubeObject {
    const found = this.store.get(tableOf(definition), namespace, name);
    if (!found) throw notFound(definition, name);
    return found;
  }

  create(
    definition: ResourceDefinition,
    namespace: string,
    body: unknown,
    { dryRun = false }: WriteOptions = {},
  ): KubeObject {
    const table = tableOf(definition);
    const draft = draftFromBody(definition, namespace, body);
    const taken = (name: string) => this.store.get(table, namespace, name) !== undefined;
    stampNew(draft, this.now(), taken);
    if (definition.namespaced) this.#checkNamespace(definition, namespace, draft.metadata.name);
    if (draft.metadata.name && taken(draft.metadata.name)) throw alreadyExists(definition, draft.metadata.name);
    // The kubelet registers its Node with a status; everybody else's status is what a controller says later.
    if (definition.hasStatus && table !== tables.nodes) delete draft['status'];
    this.#complete(definition, draft, undefined);
    return dryRun ? draft : this.store.put(table, draft);
  }

  update(
    definition: ResourceDefinition,
    namespace: string,
    name: string,
    body: unknown,
    { dryRun = false, subresource }: WriteOptions = {},
  ): KubeObject {
    const current = this.get(definition, namespace, name);
    const given = draftFromBody(definition, namespace, body);
    carryMetadata(definition, given, current);
    const draft = splitStatus(definition, given, current, subresource);
    this.#complete(definition, draft, current);
    if (isDeepStrictEqual(draft, current)) return current;
    if (dryRun) return draft;
    const stored = this.store.put(tableOf(definition), draft);
    return this.#finishDeletion(definition, stored);
  }

  /** `change` gets a copy of the object and answers with what it shall be. */
  patch(
    definition: ResourceDefinition,
    namespace: string,
    name: string,
    change: (current: KubeObject) => unknown,
    options: WriteOptions = {},
  ): KubeObject {
    return this.update(definition, namespace, name, change(draftOf(this.get(definition, namespace, name))), options);
  }

  delete(definition: ResourceDefinition, namespace: string, name: string, options: DeleteOptions = {}): DeleteOutcome {
    const current = this.get(definition, namespace, name);
    const failure = preconditionFailure(current, options);
    if (failure !== undefined) throw conflict(definition, name, failure);
    const longest = definition.gracePeriod?.(current) ?? 0;
    const grace = longest === 0 ? 0 : Math.max(0, options.gracePeriodSeconds ?? longest);
    const finalizers = finalizersFor(current, options);
    if (grace === 0 && finalizers.length === 0 && !hasNamespaceFinalizer(current)) {
      if (!options.dryRun) this.store.remove(tableOf(definition), namespace, name);
      return { removed: true, object: current };
    }
    const draft = withDeletion(current, { grace, finalizers, now: this.now(), counts: definition.countsGenerations });
    if (isDeepStrictEqual(draft, current) || options.dryRun) return { removed: false, object: current };
    return { removed: false, object: this.store.put(tableOf(definition), draft) };
  }

  /** For controllers: of the built-in kind, in the object's own namespace. */
  definitionOf(object: KubeObject): ResourceDefinition {
    const definition = this.registry.findKind(object.apiVersion, object.kind);
    if (!definition) throw new Error(`Cannot handle object: expected a served kind: current value is ${object.kind}`);
    return definition;
  }

  createObject(object: NewObject & { apiVersion: string; kind: string }): KubeObject {
    const definition = this.definitionOf(object as KubeObject);
    return this.create(definition, object.metadata.namespace ?? '', object);
  }

  change<T extends KubeObject>(object: T, edit: (draft: T) => void, options: WriteOptions = {}): T {
    const { namespace = '', name } = object.metadata;
    const edited = (current: KubeObject) => {
      edit(current as T);
      return current;
    };
    return this.patch(this.definitionOf(object), namespace, name, edited, options) as T;
  }

  deleteObject(object: KubeObject, options: DeleteOptions = {}): DeleteOutcome {
    const { namespace = '', name } = object.metadata;
    return this.delete(this.definitionOf(object), namespace, name, options);
  }

  #complete(definition: ResourceDefinition, draft: KubeObject, current: KubeObject | undefined): void {
    const fail = (causes: readonly Cause[]) => {
      if (causes.length > 0) throw invalid(definition, draft.metadata.name ?? '', causes);
    };
    fail(validateMetadata(definition, draft));
    definition.setDefaults?.(draft, current);
    fail(definition.validate?.(draft, current) ?? []);
    fail(definition.allocate?.(draft, current, this.#context) ?? []);
    countGeneration(definition, draft, current);
  }

  #checkNamespace(definition: ResourceDefinition, namespace: string, name: string): void {
    const space = this.store.get(tables.namespaces, '', namespace);
    if (!space) throw notFound({ group: '', resource: 'namespaces', kind: 'Namespace' }, namespace);
    if (space.metadata.deletionTimestamp === undefined) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    throw forbidden(definition, name, why);
  }

  /** The last finalizer of an object in deletion was removed: then it goes. */
  #finishDeletion(definition: ResourceDefinition, stored: KubeObject): KubeObject {
    const { deletionTimestamp, deletionGracePeriodSeconds = 0, namespace = '', name } = stored.metadata;
    if (deletionTimestamp === undefined || hasFinalizers(stored) || hasNamespaceFinalizer(stored)) return stored;
    if (deletionGracePeriodSeconds > 0) return stored;
    return this.store.remove(tableOf(definition), namespace, name) ?? stored;
  }
}

function splitStatus(
  { hasStatus }: ResourceDefinition,
  given: KubeObject,
  current: KubeObject,
  subresource: 'status' | undefined,
): KubeObject {
  if (!hasStatus) return given;
  const { status, ...rest } = subresource === 'status' ? draftOf(current) : given;
  const kept = subresource === 'status' ? given['status'] : current['status'];
  return (kept === undefined ? rest : { ...rest, status: draftOf(kept) }) as KubeObject;
}

function hasNamespaceFinalizer(object: KubeObject): boolean {
  if (object.kind !== 'Namespace' || object.apiVersion !== 'v1') return false;
  const finalizers = fieldAt(object, ['spec', 'finalizers']);
  return Array.isArray(finalizers) && finalizers.length > 0;
}
