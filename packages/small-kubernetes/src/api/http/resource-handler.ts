/** Requests for resources: from a parsed path, method and query to an operation and the text of the answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { badRequest, methodNotAllowed, noSuchPath, notFound } from '../api-error.ts';
import type { DeleteOptions } from '../deletion.ts';
import { fieldAt, isJsonObject, type JsonObject, type KubeObject } from '../objects.ts';
import type { Operations, WriteOptions } from '../operations.ts';
import { apiVersionOf, type ResourceDefinition } from '../resource.ts';
import { applyScale, scaleOf } from '../scale.ts';
import { listObjects, selectionOf } from './list.ts';
import { patchOf } from './patch-request.ts';
import { negotiate, Representation } from './representation.ts';
import {
  contentTypeOf,
  isDryRun,
  isSet,
  parseJson,
  type ResourcePath,
  readBody,
  readObject,
  wholeNumber,
} from './request.ts';
import { Watch } from './watch.ts';

export interface Answer {
  readonly code: number;
  readonly text: string;
}

export interface HandlerOptions {
  readonly operations: Operations;
  /** Told of each watch, to end it when the server closes. */
  readonly onWatch: (watch: Watch, response: ServerResponse) => void;
}

interface Call {
  readonly definition: ResourceDefinition;
  readonly path: ResourcePath;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly representation: Representation;
}

export class ResourceHandler {
  readonly #operations: Operations;
  readonly #onWatch: HandlerOptions['onWatch'];

  constructor({ operations, onWatch }: HandlerOptions) {
    this.#operations = operations;
    this.#onWatch = onWatch;
  }

  /** `undefined` when the response goes on by itself, as a watch does. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    path: ResourcePath,
    query: URLSearchParams,
  ): Promise<Answer | undefined> {
    const definition = this.#operations.registry.find(path.group, path.version, path.resource);
    if (!definition) throw noSuchPath();
    if (path.namespace !== undefined && !definition.namespaced) throw noSuchPath();
    const form = negotiate(request.headers.accept, query);
    const call = {
      definition,
      path,
      query,
      request,
      representation: new Representation(definition, form, this.#operations.now),
    };
    if (path.subresource !== undefined) return this.#subresource(call, path.subresource);
    if (path.name !== undefined && !isSet(query, 'watch')) return this.#object(call, path.name);
    return this.#collection(call, response);
  }

  async #collection(call: Call, response: ServerResponse): Promise<Answer | undefined> {
    switch (call.request.method) {
      case 'GET':
        if (isSet(call.query, 'watch')) return this.#watch(call, response);
        return this.#list(call);
      case 'POST':
        return this.#create(call);
      case 'DELETE':
        return this.#deleteAll(call);
      default:
        throw methodNotAllowed();
    }
  }

  #list({ definition, path, query, representation }: Call): Answer {
    const { objects, ...facts } = listObjects(this.#operations.store, definition, path.namespace, query);
    return { code: 200, text: representation.list(objects, facts) };
  }

  #watch({ definition, path, query, representation }: Call, response: ServerResponse): undefined {
    const since = wholeNumber(query, 'resourceVersion') ?? 0;
    const initial = isSet(query, 'sendInitialEvents');
    const { name } = path;
    const selection = selectionOf(definition, query);
    const watch = new Watch(
      this.#operations.store,
      {
        definition,
        namespace: path.namespace,
        selected: (object) => (name === undefined || object.metadata.name === name) && selection(object),
        representation,
        since: initial || since === 0 ? undefined : since,
        marksInitialEnd: initial,
        bookmarks: isSet(query, 'allowWatchBookmarks'),
        timeoutSeconds: wholeNumber(query, 'timeoutSeconds') || 1800 + Math.floor(Math.random() * 1800),
      },
      response,
    );
    this.#onWatch(watch, response);
    return undefined;
  }

  async #create(call: Call): Promise<Answer> {
    const { definition, path, representation } = call;
    const body = await readObject(call.request);
    if (definition.namespaced && path.namespace === undefined) throw methodNotAllowed();
    const created = this.#operations.create(definition, path.namespace ?? '', body, writeOptions(call));
    return { code: 201, text: representation.one(created) };
  }

  async #deleteAll(call: Call): Promise<Answer> {
    const { definition, path, query, representation } = call;
    const options = await deleteOptions(call);
    const { objects, revision } = listObjects(this.#operations.store, definition, path.namespace, query);
    for (const { metadata } of objects) {
      this.#operations.delete(definition, metadata.namespace ?? '', metadata.name, options);
    }
    return { code: 200, text: representation.list(objects, { revision }) };
  }

  async #object(call: Call, name: string): Promise<Answer> {
    const { definition, path, request, representation } = call;
    const namespace = this.#namespaceOf(call);
    switch (request.method) {
      case 'GET':
        return { code: 200, text: representation.one(this.#operations.get(definition, namespace, name)) };
      case 'PUT': {
        const body = await readObject(request);
        return {
          code: 200,
          text: representation.one(this.#operations.update(definition, namespace, name, body, writeOptions(call))),
        };
      }
      case 'PATCH':
        return { code: 200, text: representation.one(await this.#patch(call, namespace, name)) };
      case 'DELETE':
        return this.#delete(call, namespace, name);
      case 'POST':
        throw path.name === undefined ? noSuchPath() : methodNotAllowed();
      default:
        throw methodNotAllowed();
    }
  }

  async #patch(call: Call, namespace: string, name: string, subresource?: 'status'): Promise<KubeObject> {
    const { definition, request } = call;
    const text = await readBody(request);
    const patch = patchOf(contentTypeOf(request), text, definition.merge);
    const options = { ...writeOptions(call), ...(subresource ? { subresource } : {}) };
    return this.#operations.patch(
      definition,
      namespace,
      name,
      (current) => patch(servedAs(definition, current)),
      options,
    );
  }

  async #delete(call: Call, namespace: string, name: string): Promise<Answer> {
    const { definition, representation } = call;
    const { removed, object } = this.#operations.delete(definition, namespace, name, await deleteOptions(call));
    if (!removed) return { code: 200, text: representation.one(object) };
    const { group, resource } = definition;
    const details = { name, ...(group === '' ? {} : { group }), kind: resource, uid: object.metadata.uid };
    return {
      code: 200,
      text: JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details }),
    };
  }

  async #subresource(call: Call, subresource: string): Promise<Answer> {
    const { definition, path, request, representation } = call;
    const namespace = this.#namespaceOf(call);
    const name = path.name ?? '';
    if (subresource === 'scale' && definition.scale) return this.#scale(call, namespace, name);
    if (subresource !== 'status' || !definition.hasStatus) throw noSuchPath();
    switch (request.method) {
      case 'GET':
        return { code: 200, text: representation.one(this.#operations.get(definition, namespace, name)) };
      case 'PUT': {
        const body = await readObject(request);
        const options = { ...writeOptions(call), subresource } as const;
        return {
          code: 200,
          text: representation.one(this.#operations.update(definition, namespace, name, body, options)),
        };
      }
      case 'PATCH':
        return { code: 200, text: representation.one(await this.#patch(call, namespace, name, subresource)) };
      default:
        throw methodNotAllowed();
    }
  }

  async #scale(call: Call, namespace: string, name: string): Promise<Answer> {
    const { definition, request } = call;
    const paths = definition.scale;
    if (!paths) throw noSuchPath();
    const answer = (object: KubeObject): Answer => ({ code: 200, text: JSON.stringify(scaleOf(object, paths)) });
    if (request.method === 'GET') return answer(this.#operations.get(definition, namespace, name));
    if (request.method !== 'PUT' && request.method !== 'PATCH') throw methodNotAllowed();
    const given = request.method === 'PUT' ? await readObject(request) : undefined;
    const patch = given === undefined ? patchOf(contentTypeOf(request), await readBody(request), {}) : undefined;
    const change = (draft: KubeObject) =>
      applyScale(definition, paths, draft, patch ? patch(scaleOf(draft, paths)) : given);
    return answer(this.#operations.patch(definition, namespace, name, change, writeOptions(call)));
  }

  #namespaceOf({ definition, path }: Call): string {
    if (definition.namespaced && path.namespace === undefined) throw notFound(definition, path.name ?? '');
    return path.namespace ?? '';
  }
}

const servedAs = (definition: ResourceDefinition, object: KubeObject): JsonObject => ({
  ...object,
  apiVersion: apiVersionOf(definition),
});

const writeOptions = ({ query }: Call): WriteOptions => ({ dryRun: isDryRun(query) });

async function deleteOptions({ request, query }: Call): Promise<DeleteOptions> {
  const text = await readBody(request);
  const body = text === '' ? {} : parseJson(text);
  if (!isJsonObject(body)) throw badRequest('Cannot delete: expected DeleteOptions in the body');
  const grace = body['gracePeriodSeconds'] ?? wholeNumber(query, 'gracePeriodSeconds');
  const policy = body['propagationPolicy'] ?? query.get('propagationPolicy') ?? undefined;
  const orphan = body['orphanDependents'];
  const dryRun = isDryRun(query) || (Array.isArray(body['dryRun']) && body['dryRun'].includes('All'));
  const preconditions = fieldAt(body, ['preconditions']);
  return {
    dryRun,
    ...(typeof grace === 'number' ? { gracePeriodSeconds: grace } : {}),
    ...(policy === undefined ? {} : { propagationPolicy: checkedPolicy(policy) }),
    ...(orphan === true ? { propagationPolicy: 'Orphan' as const } : {}),
    ...(isJsonObject(preconditions) ? { preconditions } : {}),
  };
}

function checkedPolicy(policy: unknown): NonNullable<DeleteOptions['propagationPolicy']> {
  if (policy === 'Background' || policy === 'Foreground' || policy === 'Orphan') return policy;
  throw badRequest(
    `propagationPolicy: expected Background, Foreground or Orphan: current value is ${JSON.stringify(policy)}`,
  );
}
