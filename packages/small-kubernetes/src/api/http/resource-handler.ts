/** Requests for resources: from a parsed path, method and query to an operation and its answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { about, badRequest, invalid, methodNotAllowed, noSuchPath, notFound, required } from '../api-error.ts';
import type { DeleteOptions } from '../deletion.ts';
import { fieldAt, isJsonObject, type JsonObject, type KubeObject } from '../objects.ts';
import type { Operations, Target, WriteOptions } from '../operations.ts';
import type { ResourceDefinition } from '../resource.ts';
import { listObjects, selectionOf } from './list.ts';
import { APPLY, patchOf } from './patch-request.ts';
import { negotiate, Representation } from './representation.ts';
import { contentTypeOf, isSet, type ResourcePath, readBody, wholeNumber } from './request.ts';
import { scaled, scaleOf } from './scale.ts';
import { Watch } from './watch.ts';

export interface Answer {
  readonly code: number;
  readonly body: JsonObject;
}

interface Call {
  readonly definition: ResourceDefinition;
  readonly namespace: string | undefined;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly representation: Representation;
}

/** A call about one object, or a part of it. */
interface ObjectCall extends Call {
  readonly target: Target;
  readonly options: WriteOptions;
}

export class ResourceHandler {
  readonly #operations: Operations;
  readonly #onWatch: (watch: Watch, response: ServerResponse) => void;

  /** `onWatch` is told of each watch, to end it when the server closes. */
  constructor(operations: Operations, onWatch: (watch: Watch, response: ServerResponse) => void) {
    this.#operations = operations;
    this.#onWatch = onWatch;
  }

  /** `undefined` when the response goes on by itself, as a watch does. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    { group, version, resource, namespace, name, subresource }: ResourcePath,
    query: URLSearchParams,
  ): Promise<Answer | undefined> {
    const definition = this.#operations.registry.find(group, version, resource);
    if (!definition || (namespace !== undefined && !definition.namespaced)) throw noSuchPath();
    const representation = new Representation(definition, negotiate(request.headers.accept));
    const call = { definition, namespace, query, request, representation };
    if (isSet(query, 'watch')) return this.#watch(call, name, response);
    if (name === undefined) return this.#collection(call);
    if (definition.namespaced && namespace === undefined) throw notFound(definition, name);
    const { hasStatus, hasScale } = definition;
    const subresources = [undefined, hasStatus && 'status', hasScale && 'scale'];
    if (!subresources.includes(subresource)) throw noSuchPath();
    const options = writeOptions(call, subresource as WriteOptions['subresource']);
    return this.#object({ ...call, target: { definition, namespace: namespace ?? '', name }, options });
  }

  async #collection(call: Call): Promise<Answer> {
    const { definition, namespace, query, request, representation } = call;
    switch (request.method) {
      case 'GET': {
        const { objects, ...facts } = listObjects(this.#operations.store, definition, namespace, query);
        return { code: 200, body: representation.list(objects, facts) };
      }
      case 'POST': {
        const body = await readBody(request);
        if (definition.namespaced && namespace === undefined) throw methodNotAllowed();
        const created = this.#operations.create(definition, namespace ?? '', body, writeOptions(call));
        return { code: 201, body: representation.one(created) };
      }
      default:
        throw methodNotAllowed();
    }
  }

  #watch({ definition, namespace, query, representation }: Call, name: string | undefined, response: ServerResponse) {
    const since = wholeNumber(query, 'resourceVersion') ?? 0;
    const initial = isSet(query, 'sendInitialEvents');
    const selection = selectionOf(definition, query);
    const selected = (object: KubeObject) => (name === undefined || object.metadata.name === name) && selection(object);
    const request = {
      ...{ definition, namespace, representation, selected },
      since: initial || since === 0 ? undefined : since,
      marksInitialEnd: initial,
      bookmarks: isSet(query, 'allowWatchBookmarks'),
      timeoutSeconds: wholeNumber(query, 'timeoutSeconds') || 1800 + Math.floor(Math.random() * 1800),
    };
    this.#onWatch(new Watch(this.#operations.store, request, response), response);
    return undefined;
  }

  async #object(call: ObjectCall): Promise<Answer> {
    const { target, options, request, representation } = call;
    const inForm = options.subresource === 'scale' ? scaleOf : (object: KubeObject) => representation.one(object);
    switch (request.method) {
      case 'GET':
        return { code: 200, body: inForm(this.#operations.get(target)) };
      case 'PUT':
      case 'PATCH': {
        const { object, created } = await this.#write(call);
        return { code: created ? 201 : 200, body: inForm(object) };
      }
      case 'DELETE':
        if (options.subresource === undefined) return this.#delete(call);
    }
    throw methodNotAllowed();
  }

  async #write({ target, options, request, query }: ObjectCall): Promise<{ object: KubeObject; created: boolean }> {
    const type = contentTypeOf(request);
    const { definition } = target;
    const body = await readBody(request);
    if (request.method === 'PATCH' && type === APPLY) {
      if (!query.get('fieldManager')) throw NO_FIELD_MANAGER;
      return this.#operations.apply(target, body, { ...options, force: isSet(query, 'force') });
    }
    const patch = request.method === 'PATCH' ? patchOf(type, body, definition.merge) : () => body;
    const change = (current: KubeObject) =>
      options.subresource === 'scale' ? scaled(definition, current, patch(scaleOf(current))) : patch(current);
    return { object: this.#operations.patch(target, change, options), created: false };
  }

  async #delete(call: ObjectCall): Promise<Answer> {
    const { definition, name } = call.target;
    const { removed, object } = this.#operations.delete(call.target, await deleteOptions(call));
    if (!removed) return { code: 200, body: call.representation.one(object) };
    const details = { ...about(definition, name, definition.resource), uid: object.metadata.uid };
    return { code: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details } };
  }
}

const NO_FIELD_MANAGER = invalid({ group: 'meta.k8s.io', resource: '', kind: 'PatchOptions' }, '', [
  required('fieldManager', 'is required for apply patch'),
]);

function writeOptions({ query, request }: Call, subresource?: WriteOptions['subresource']): WriteOptions {
  const program = request.headers['user-agent']?.split('/')[0];
  return {
    dryRun: query.get('dryRun') === 'All',
    manager: query.get('fieldManager') || program || 'unknown',
    ...(subresource && { subresource }),
  };
}

async function deleteOptions({ request, query }: Call): Promise<DeleteOptions> {
  const body = (await readBody(request)) ?? {};
  if (!isJsonObject(body)) throw badRequest('Cannot delete: expected DeleteOptions in the body');
  const gracePeriodSeconds = body['gracePeriodSeconds'] ?? wholeNumber(query, 'gracePeriodSeconds');
  const propagationPolicy = body['propagationPolicy'] ?? query.get('propagationPolicy') ?? undefined;
  const dryRun = query.get('dryRun') === 'All' || JSON.stringify(body['dryRun']) === '["All"]';
  const uid = fieldAt(body, 'preconditions.uid');
  return { dryRun, gracePeriodSeconds, propagationPolicy, uid } as DeleteOptions;
}
