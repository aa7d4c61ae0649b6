/** What a URL of the Kubernetes API asks for, and the bodies that come with it. */
import type { IncomingMessage } from 'node:http';
import { parse as parseYaml } from 'yaml';
import { badRequest, unsupportedMediaType } from '../api-error.ts';
import { isJsonObject, type JsonObject } from '../objects.ts';
import { decodeProtobufObject } from '../protobuf/decode.ts';

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
  const steps = path.split('/').slice(1).map(decodeStep);
  if (steps.at(-1) === '') steps.pop();
  if (steps[0] === 'api' && steps[1] === 'v1') return resourceOf('', 'v1', steps.slice(2));
  if (steps[0] === 'apis' && steps.length >= 4) return resourceOf(steps[1] ?? '', steps[2] ?? '', steps.slice(3));
  return undefined;
}

function resourceOf(group: string, version: string, steps: readonly string[]): ResourcePath | undefined {
  const [first, second, third] = steps;
  // /namespaces/x is a Namespace, /namespaces/x/status its subresource, /namespaces/x/pods a list.
  const inNamespace = first === 'namespaces' && third !== undefined && third !== 'status' && third !== 'finalize';
  const namespace = inNamespace ? second : undefined;
  const [resource, name, subresource, ...rest] = inNamespace ? steps.slice(2) : steps;
  if (resource === undefined || resource === '' || rest.length > 0) return undefined;
  return { group, version, resource, namespace, name, subresource };
}

function decodeStep(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    throw badRequest(`Cannot read the path: expected valid percent-encoding: current value is ${JSON.stringify(step)}`);
  }
}

export const contentTypeOf = (request: IncomingMessage): string =>
  (request.headers['content-type'] ?? 'application/json').split(';')[0]?.trim().toLowerCase() ?? '';

/** Larger than any object that etcd would take. */
const LARGEST_BODY = 8 * 1024 * 1024;

export const readBody = async (request: IncomingMessage): Promise<string> =>
  (await readBytes(request)).toString('utf8');

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_BODY) throw badRequest(`Cannot read the body: expected at most ${LARGEST_BODY} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw badRequest(`Cannot read the body: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function parseYamlObject(text: string): JsonObject {
  let parsed: unknown;
  try {
    parsed = parseYaml(text);
  } catch (cause) {
    throw badRequest(`Cannot read the body: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  if (!isJsonObject(parsed)) throw badRequest('Cannot read the body: expected a YAML object');
  return parsed;
}

/** An object of a create or a replace. */
export async function readObject(request: IncomingMessage): Promise<unknown> {
  const type = contentTypeOf(request);
  const bytes = await readBytes(request);
  switch (type) {
    case 'application/json':
    case '*/*':
      return parseJson(bytes.toString('utf8'));
    case 'application/yaml':
      return parseYamlObject(bytes.toString('utf8'));
    case 'application/vnd.kubernetes.protobuf':
      return decodeProtobufObject(bytes);
    default:
      throw unsupportedMediaType(
        `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml: current value is ${type}`,
      );
  }
}

export const isSet = (query: URLSearchParams, name: string): boolean => ['1', 'true'].includes(query.get(name) ?? '');

export function isDryRun(query: URLSearchParams): boolean {
  const values = query.getAll('dryRun').filter((value) => value !== '');
  if (values.some((value) => value !== 'All')) {
    throw badRequest(`dryRun: expected "All": current value is ${JSON.stringify(values.join(','))}`);
  }
  return values.length > 0;
}

export function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw badRequest(`${name}: expected a whole number: current value is ${JSON.stringify(text)}`);
}
