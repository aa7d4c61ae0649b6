/** What a URL of the Kubernetes API asks for, and the bodies that come with it. */
import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { parse as parseYaml } from 'yaml';
import { badRequest, unsupportedMediaType } from '../api-error.ts';
import { decodeObject } from '../protobuf/messages.ts';

export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  /** Undefined for cluster-scoped resources and for lists over all namespaces. */
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** `undefined` when the path is not one of a resource. */
export function parseResourcePath(path: string): ResourcePath | undefined {
  const [root, ...steps] = path.split('/').slice(1).map(decodeURIComponent);
  if (root === 'api') return resourceOf('', steps[0], steps.slice(1));
  return root === 'apis' ? resourceOf(steps[0], steps[1], steps.slice(2)) : undefined;
}

function resourceOf(group = '', version = '', steps: readonly string[] = []): ResourcePath | undefined {
  const [first, second, third] = steps;
  // /namespaces/x is a Namespace, /namespaces/x/status its subresource, /namespaces/x/pods a list.
  const inNamespace = first === 'namespaces' && third !== undefined && third !== 'status' && third !== 'finalize';
  const namespace = inNamespace ? second : undefined;
  const [resource, name, subresource, ...rest] = inNamespace ? steps.slice(2) : steps;
  if (!resource || rest.length > 0) return undefined;
  return { group, version, resource, namespace, name, subresource };
}

export const contentTypeOf = (request: IncomingMessage): string =>
  (request.headers['content-type'] ?? 'application/json').split(';')[0]?.trim().toLowerCase() ?? '';

/** Undefined when there is none. YAML contains JSON. */
export async function readBody(request: IncomingMessage): Promise<unknown> {
  const type = contentTypeOf(request);
  const bytes = await buffer(request);
  if (bytes.length === 0) return undefined;
  if (type === 'application/vnd.kubernetes.protobuf') return decodeObject(bytes);
  try {
    if (type.endsWith('yaml')) return parseYaml(bytes.toString()) as unknown;
    if (type.endsWith('json') || type === '*/*') return JSON.parse(bytes.toString()) as unknown;
  } catch (cause) {
    throw badRequest(`Cannot read the body: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  throw unsupportedMediaType(`the body of the request was in an unknown format: ${type}`);
}

export const isSet = (query: URLSearchParams, name: string): boolean => ['1', 'true'].includes(query.get(name) ?? '');

export function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) || undefined;
  if (text === undefined || /^\d{1,15}$/.test(text)) return text === undefined ? undefined : Number(text);
  throw badRequest(`${name}: expected a whole number: current value is ${JSON.stringify(text)}`);
}
