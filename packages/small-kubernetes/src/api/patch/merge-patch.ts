/** JSON Merge Patch (RFC 7386): objects merge, null removes, everything else replaces. */
import { isJsonObject, type JsonObject } from '../objects.ts';

export function applyMergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const result = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    const old = result[key];
    if (value === null) delete result[key];
    else result[key] = isJsonObject(value) ? applyMergePatch(isJsonObject(old) ? old : {}, value) : value;
  }
  return result;
}
