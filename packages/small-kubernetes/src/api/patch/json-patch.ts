/** JSON Patch (RFC 6902) over JSON Pointers (RFC 6901), on a copy. */
import { isDeepStrictEqual } from 'node:util';
import { ApiError, badRequest } from '../api-error.ts';
import { isJsonObject, type JsonObject } from '../objects.ts';

/** Throws 400 for a malformed patch and 422 for one that does not apply. */
export function applyJsonPatch(target: JsonObject, patch: unknown): JsonObject {
  if (!Array.isArray(patch)) throw badRequest('Cannot apply JSON patch: expected an array of operations');
  let document: unknown = structuredClone(target);
  for (const operation of patch as unknown[]) document = applyOperation(document, operation);
  if (!isJsonObject(document)) throw inapplicable('expected an object as the result');
  return document;
}

function applyOperation(document: unknown, operation: unknown): unknown {
  if (!isJsonObject(operation)) throw badRequest('Cannot apply JSON patch: expected each operation to be an object');
  const { op, value } = operation;
  const path = parsePointer(operation['path']);
  switch (op) {
    case 'add':
      return insert(document, path, structuredClone(value));
    case 'remove':
      return remove(document, path).document;
    case 'replace':
      return insert(remove(document, path).document, path, structuredClone(value));
    case 'move': {
      const moved = remove(document, parsePointer(operation['from']));
      return insert(moved.document, path, moved.value);
    }
    case 'copy':
      return insert(document, path, structuredClone(read(document, parsePointer(operation['from']))));
    case 'test':
      if (!isDeepStrictEqual(read(document, path), value))
        throw inapplicable(`testing path ${operation['path']} failed`);
      return document;
    default:
      throw badRequest(`Cannot apply JSON patch: expected a known operation: current value is ${JSON.stringify(op)}`);
  }
}

function parsePointer(pointer: unknown): string[] {
  if (typeof pointer !== 'string' || (pointer !== '' && !pointer.startsWith('/'))) {
    throw badRequest(`Cannot apply JSON patch: expected a JSON pointer: current value is ${JSON.stringify(pointer)}`);
  }
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function read(document: unknown, path: readonly string[]): unknown {
  let value = document;
  for (const [depth, step] of path.entries()) {
    if (Array.isArray(value)) value = value[indexIn(value, step, value.length - 1)];
    else if (isJsonObject(value) && Object.hasOwn(value, step)) value = value[step];
    else throw inapplicable(`path /${path.slice(0, depth + 1).join('/')} does not exist`);
  }
  return value;
}

function insert(document: unknown, path: readonly string[], value: unknown): unknown {
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = read(document, path.slice(0, -1));
  if (Array.isArray(parent)) {
    parent.splice(last === '-' ? parent.length : indexIn(parent, last, parent.length), 0, value);
  } else if (isJsonObject(parent)) setOwn(parent, last, value);
  else throw inapplicable(`path /${path.join('/')} has no object or array above it`);
  return document;
}

function remove(document: unknown, path: readonly string[]): { document: unknown; value: unknown } {
  const last = path.at(-1);
  const value = read(document, path);
  if (last === undefined) return { document: undefined, value };
  const parent = read(document, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(indexIn(parent, last, parent.length - 1), 1);
  else if (isJsonObject(parent)) delete parent[last];
  return { document, value };
}

/** A key such as `__proto__` becomes a field like any other. */
function setOwn(object: JsonObject, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

function indexIn(list: readonly unknown[], step: string, highest: number): number {
  const index = /^(0|[1-9]\d*)$/.test(step) ? Number(step) : Number.NaN;
  if (index <= highest) return index;
  throw inapplicable(`index ${step} is out of bounds of a list of ${list.length}`);
}

const inapplicable = (why: string) =>
  new ApiError(422, 'Invalid', `the server rejected our request due to an error in our request: ${why}`);
