/** JSON Merge Patch (RFC 7386): objects merge, null removes, everything else replaces. */
import { isJsonObject, type JsonObject } from '../objects.ts';

export function applyMergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const result = new Map(Object.entries(target));
  for (const [key, value] of Object.entries(patch)) {
    const old = result.get(key);
    if (value === null) result.delete(key);
    else if (isJsonObject(value)) result.set(key, applyMergePatch(isJsonObject(old) ? old : {}, value));
    else result.set(key, value);
  }
  return Object.fromEntries(result);
}
