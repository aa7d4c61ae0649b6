/**
 * Objects in Kubernetes' protobuf form (`k8s\0`, an envelope, then the message of the kind) as the JSON that they stand
 * for. Only bodies of requests: answers are always JSON, which every client takes.
 */
import { badRequest, unsupportedMediaType } from '../api-error.ts';
import type { JsonObject } from '../objects.ts';
import { messages } from './messages.ts';

const MAGIC = Buffer.from('k8s\0');

export function decodeProtobufObject(body: Buffer): JsonObject {
  if (!body.subarray(0, 4).equals(MAGIC))
    throw badRequest('Cannot read the body: expected a Kubernetes protobuf envelope');
  const { typeMeta, raw } = decodeMessage('Unknown', body.subarray(4));
  const { apiVersion = '', kind = '' } = typeMeta as { apiVersion?: string; kind?: string };
  if (!Object.hasOwn(messages, kind)) {
    throw unsupportedMediaType(
      `this development API server does not read ${kind} as protobuf: send a manifest as JSON or YAML`,
    );
  }
  return { apiVersion, kind, ...decodeMessage(kind, raw instanceof Buffer ? raw : Buffer.alloc(0)) };
}

function decodeMessage(name: string, bytes: Buffer): JsonObject {
  const result: JsonObject = {};
  for (const { number, value } of readFields(bytes)) {
    const described = messages[name]?.[number];
    if (described === undefined) {
      // Go writes fields out even when they are empty.
      if (value instanceof Buffer ? value.length === 0 : value === 0n) continue;
      throw unsupportedMediaType(
        `this development API server does not read field ${number} of ${name} as protobuf: send a manifest as JSON or YAML`,
      );
    }
    const [, field = '', type = '', mark] = /^(\w+) (\w+)(\[\]|\?)?$/.exec(described) ?? [];
    addField(result, field, type, mark, value);
  }
  return result;
}

function addField(
  result: JsonObject,
  field: string,
  type: string,
  mark: string | undefined,
  value: bigint | Buffer,
): void {
  const decoded = decodeValue(type, value);
  if (mark === '[]') {
    const list = result[field];
    result[field] = [...(Array.isArray(list) ? list : []), decoded];
  } else if (type === 'map' || type === 'bytesMap') {
    const [key, inner] = decoded as readonly [string, string];
    result[field] = { ...(result[field] as JsonObject | undefined), [key]: inner };
  } else if (mark === '?' || !isZero(decoded)) result[field] = decoded;
}

const isZero = (value: unknown): boolean => value === '' || value === 0 || value === false || value === undefined;

function decodeValue(type: string, value: bigint | Buffer): unknown {
  const bytes = value instanceof Buffer ? value : Buffer.alloc(0);
  switch (type) {
    case 'string':
      return bytes.toString('utf8');
    case 'bytes':
      return bytes;
    case 'int':
      return typeof value === 'bigint' ? Number(BigInt.asIntN(64, value)) : 0;
    case 'bool':
      return value === 1n;
    case 'map':
    case 'bytesMap':
      return mapEntry(bytes, type === 'map' ? 'utf8' : 'base64');
    case 'intOrString':
      return intOrString(bytes);
    case 'time':
      // The server sets all times of a new object itself.
      return undefined;
    default:
      return decodeMessage(type, bytes);
  }
}

function mapEntry(bytes: Buffer, encoding: 'utf8' | 'base64'): readonly [string, string] {
  const texts = new Map([...readFields(bytes)].map(({ number, value }) => [number, value]));
  const text = (number: number, as: BufferEncoding) => {
    const value = texts.get(number);
    return value instanceof Buffer ? value.toString(as) : '';
  };
  return [text(1, 'utf8'), text(2, encoding)];
}

/** Field 1 tells which: 0 is the number in field 2, 1 the text in field 3. */
function intOrString(bytes: Buffer): number | string {
  const fields = new Map([...readFields(bytes)].map(({ number, value }) => [number, value]));
  const text = fields.get(3);
  if (fields.get(1) === 1n) return text instanceof Buffer ? text.toString('utf8') : '';
  return Number(fields.get(2) ?? 0n);
}

function* readFields(bytes: Buffer): Iterable<{ number: number; value: bigint | Buffer }> {
  let at = 0;
  const varint = (): bigint => {
    let result = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return result;
    }
    throw badRequest('Cannot read the body: the protobuf message is cut off');
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const number = tag >> 3;
    if ((tag & 7) === 0) {
      yield { number, value: varint() };
      continue;
    }
    if ((tag & 7) !== 2)
      throw badRequest(`Cannot read the body: expected wire type 0 or 2: current value is ${tag & 7}`);
    const length = Number(varint());
    if (at + length > bytes.length) throw badRequest('Cannot read the body: the protobuf message is cut off');
    yield { number, value: bytes.subarray(at, at + length) };
    at += length;
  }
}
