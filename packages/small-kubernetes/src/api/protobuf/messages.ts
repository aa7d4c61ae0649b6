/**
 * Bodies in protobuf: what kubectl creates, in Kubernetes' envelope, as the JSON that it stands for; and what the
 * server answers to those who take nothing else. Answers about objects are always JSON, which every client takes.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { badRequest, unsupportedMediaType } from '../api-error.ts';
import { isJsonObject, type JsonObject } from '../objects.ts';

const MAGIC = Buffer.from('k8s\0');
const { root } = protobuf.parse(readFileSync(join(import.meta.dirname, 'kubernetes.proto'), 'utf8'), {
  keepCase: true,
});

export const encodeMessage = (type: string, message: JsonObject): Buffer =>
  Buffer.from(root.lookupType(type).encode(message).finish());

export function decodeObject(body: Buffer): JsonObject {
  if (!body.subarray(0, 4).equals(MAGIC)) throw badRequest('the body of the request was not in Kubernetes’ envelope');
  const { typeMeta, raw = Buffer.alloc(0) } = decode('Unknown', body.subarray(4)) as {
    readonly typeMeta?: JsonObject;
    readonly raw?: Buffer;
  };
  const kind = String(typeMeta?.['kind']);
  if (!(root.get(kind) instanceof protobuf.Type)) throw unsupported(kind);
  return { ...typeMeta, ...(plain(decode(kind, raw)) as JsonObject | undefined) };
}

function decode(kind: string, bytes: Buffer): unknown {
  const type = root.lookupType(kind);
  try {
    const message = type.decode(bytes);
    // What is not in our schema was skipped: better refused than lost.
    if (type.encode(message).finish().length !== bytes.length) throw unsupported(`all fields of this ${kind}`);
    return type.toObject(message, { longs: Number });
  } catch (cause) {
    if (cause instanceof RangeError) throw badRequest(`Cannot read the body: ${cause.message}`);
    throw cause;
  }
}

const unsupported = (what: string) =>
  unsupportedMediaType(`this small API server does not read ${what} as protobuf: send a manifest as JSON or YAML`);

/** As JSON has it. Go writes fields out even when they are empty; only of replicas is zero a value of its own. */
function plain(value: unknown, field = ''): unknown {
  if (field === 'creationTimestamp') return undefined;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((item) => plain(item));
  if (value === '' || value === false || (value === 0 && field !== 'replicas')) return undefined;
  if (!isJsonObject(value)) return value;
  if ('intVal' in value) return value['type'] ? value['strVal'] : value['intVal'];
  const fields = Object.entries(value).map(([name, inner]) => [name, plain(inner, name)] as const);
  return Object.fromEntries(fields.filter(([, inner]) => inner !== undefined));
}
