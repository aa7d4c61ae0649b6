/**
 * Create, update, apply, patch and delete as the API defines them, over the store: the one way in which objects change,
 * for HTTP requests and controllers alike. Everything is synchronous, so a read and the write that follows from it
 * cannot be torn apart. Refusals are thrown as `ApiError`.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Cidr } from '@tombolo/shared/model/ip.ts';
import { alreadyExists, badRequest, type Cause, conflict, forbidden, invalid, notFound } from './api-error.ts';
import { afterUpdate, applied, type Writer } from './apply/managed-fields.ts';
import { type DeleteOptions, type DeleteOutcome, hasFinalizers, withDeletion } from './deletion.ts';
import { tables } from './kinds/typed.ts';
import { carryMetadata, checkName, countGeneration, draftFromBody, stampNew, validateName } from './object-metadata.ts';
import { draftOf, type KubeObject, type ManagedFields, type NewObject, timestamp } from './objects.ts';
import { type Registry, type ResourceDefinition, tableOf } from './resource.ts';
import type { Store } from './store.ts';

export interface WriteOptions {
  readonly dryRun?: boolean;
  /** `status` touches only the status; without it the status stays as it is. */
  readonly subresource?: 'status' | 'scale';
  /** Whom the fields that change belong to. */
  readonly manager?: string;
}

export interface OperationsOptions {
  readonly store: Store;
  readonly registry: Registry;
  /** Of cluster addresses. */
  readonly serviceRanges: readonly Cidr[];
}

/** Which object. */
export interface Target {
  readonly definition: ResourceDefinition;
  /** Empty for objects of the cluster. */
  readonly namespace: string;
  readonly name: string;
}

/** Who owns which fields of the finished draft. */
type Books = (draft: KubeObject) => ManagedFields[];

export class Operations {
  readonly store: Store;
  readonly registry: Registry;
  readonly #serviceRanges: readonly Cidr[];

  constructor({ store, registry, serviceRanges }: OperationsOptions) {
    this.store = store;
    this.registry = registry;
    this.#serviceRanges = serviceRanges;
  }

  get({ definition, namespace, name }: Target): KubeObject {
    const found = this.store.get(tableOf(definition), namespace, name);
    if (!found) throw notFound(definition, name);
    return found;
  }

  create(definition: ResourceDefinition, namespace: string, body: unknown, options: WriteOptions = {}): KubeObject {
    const draft = draftFromBody(definition, namespace, body);
    const writer = this.#writer(options);
    return this.#add(definition, draft, options, (made) => afterUpdate(undefined, made, [], writer, definition.merge));
  }

  /** Server-side apply. */
  apply(
    { definition, namespace, name }: Target,
    body: unknown,
    { force, ...options }: WriteOptions & { readonly force: boolean },
  ): { readonly object: KubeObject; readonly created: boolean } {
    const live = this.store.get(tableOf(definition), namespace, name);
    const config = draftFromBody(definition, namespace, body);
    config.metadata.name ??= name;
    checkName(config, name);
    if (config.metadata.managedFields?.length) throw badRequest('metadata.managedFields must be nil');
    if (definition.hasStatus && options.subresource !== 'status') delete config['status'];
    const writer = { ...this.#writer(options), force };
    const { object, managedFields } = applied(live, config, writer, definition.merge);
    if (!live) return { object: this.#add(definition, object, options, () => managedFields), created: true };
    return { object: this.#replace(definition, live, object, options, () => managedFields), created: false };
  }

  /** `change` gets a copy of the object and answers with what it shall be. */
  patch(target: Target, change: (current: KubeObject) => unknown, options: WriteOptions = {}): KubeObject {
    const { definition, namespace } = target;
    const current = this.get(target);
    const given = draftFromBody(definition, namespace, change(draftOf(current)));
    const books = given.metadata.managedFields ?? current.metadata.managedFields ?? [];
    const writer = this.#writer(options);
    return this.#replace(definition, current, given, options, (made) =>
      afterUpdate(current, made, books, writer, definition.merge),
    );
  }

  delete(target: Target, options: DeleteOptions = {}): DeleteOutcome {
    const { definition, namespace, name } = target;
    const current = this.get(target);
    const { uid } = current.metadata;
    if ((options.uid ?? uid) !== uid) {
      const why = `the UID in the precondition (${options.uid}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`;
      throw conflict({ ...definition, resource: definition.kind }, name, why);
    }
    const longest = definition.gracePeriod?.(current) ?? 0;
    const grace = longest === 0 ? 0 : Math.max(0, options.gracePeriodSeconds ?? longest);
    const draft = withDeletion(current, options, grace, new Date());
    if (grace === 0 && !hasFinalizers(draft)) {
      if (!options.dryRun) this.store.remove(tableOf(definition), namespace, name);
      return { removed: true, object: current };
    }
    if (isDeepStrictEqual(draft, current) || options.dryRun) return { removed: false, object: current };
    return { removed: false, object: this.store.put(tableOf(definition), draft) };
  }

  createObject(object: NewObject): KubeObject {
    return this.create(this.registry.definitionOf(object), object.metadata.namespace ?? '', object);
  }

  change<T extends KubeObject>(object: T, edit: (draft: T) => void, options: WriteOptions = {}): T {
    const edited = (current: KubeObject) => {
      edit(current as T);
      return current;
    };
    return this.patch(this.#targetOf(object), edited, options) as T;
  }

  deleteObject(object: KubeObject, options: DeleteOptions = {}): DeleteOutcome {
    return this.delete(this.#targetOf(object), options);
  }

  #targetOf(object: KubeObject): Target {
    const { namespace = '', name } = object.metadata;
    return { definition: this.registry.definitionOf(object), namespace, name };
  }

  #writer({ manager = 'kube-controller-manager', subresource }: WriteOptions): Writer {
    return { manager, time: timestamp(new Date()), ...(subresource && { subresource }) };
  }

  #add(definition: ResourceDefinition, draft: KubeObject, { dryRun }: WriteOptions, books: Books): KubeObject {
    const table = tableOf(definition);
    const namespace = draft.metadata.namespace ?? '';
    const taken = (name: string) => this.store.get(table, namespace, name) !== undefined;
    stampNew(draft, taken);
    if (definition.namespaced) this.#checkNamespace(definition, namespace, draft.metadata.name);
    if (draft.metadata.name && taken(draft.metadata.name)) throw alreadyExists(definition, draft.metadata.name);
    // The kubelet registers its Node with a status; everybody else's status is what a controller says later.
    if (definition.hasStatus && table !== tables.nodes) delete draft['status'];
    this.#complete(definition, draft, undefined, books);
    return dryRun ? draft : this.store.put(table, draft);
  }

  #replace(
    definition: ResourceDefinition,
    current: KubeObject,
    given: KubeObject,
    { dryRun, subresource }: WriteOptions,
    books: Books,
  ): KubeObject {
    carryMetadata(definition, given, current);
    const draft = definition.hasStatus ? withStatus(given, current, subresource === 'status') : given;
    this.#complete(definition, draft, current, books);
    if (isDeepStrictEqual(draft, current)) return current;
    if (dryRun) return draft;
    const { namespace = '', name } = draft.metadata;
    const table = tableOf(definition);
    return (isEnded(draft) && this.store.remove(table, namespace, name)) || this.store.put(table, draft);
  }

  #complete(definition: ResourceDefinition, draft: KubeObject, current: KubeObject | undefined, books: Books): void {
    const check = (causes: readonly Cause[] = []) => {
      if (causes.length > 0) throw invalid(definition, draft.metadata.name ?? '', causes);
    };
    check(validateName(draft));
    definition.setDefaults?.(draft, current);
    check(definition.validate?.(draft, current));
    delete draft.metadata.managedFields;
    const managedFields = books(draft);
    if (managedFields.length > 0) Object.assign(draft.metadata, { managedFields });
    check(definition.allocate?.(draft, this.#serviceRanges, this.store.list(tableOf(definition))));
    countGeneration(definition, draft, current);
  }

  #checkNamespace(definition: ResourceDefinition, namespace: string, name: string): void {
    const space = this.store.get(tables.namespaces, '', namespace);
    if (!space) throw notFound({ group: '', resource: 'namespaces', kind: 'Namespace' }, namespace);
    if (space.metadata.deletionTimestamp === undefined) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    throw forbidden(definition, name, why);
  }
}

/** The last finalizer of an object in deletion was removed: then it goes. */
const isEnded = (object: KubeObject): boolean =>
  object.metadata.deletionTimestamp !== undefined &&
  !object.metadata.deletionGracePeriodSeconds &&
  !hasFinalizers(object);

/** The status of one side and all else of the other. */
function withStatus(given: KubeObject, current: KubeObject, onlyStatus: boolean): KubeObject {
  const [{ status: _, ...rest }, { status }] = onlyStatus ? [draftOf(current), given] : [given, current];
  return (status === undefined ? rest : { ...rest, status: draftOf(status) }) as KubeObject;
}
