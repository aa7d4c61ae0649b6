/** Which kind of patch a PATCH request carries, as a function from the object before to the object after. */
import { applyPatch, type Patch as JsonPatch } from 'rfc6902';
import { ApiError, badRequest, unsupportedMediaType } from '../api-error.ts';
import { draftOf, isJsonObject, type JsonObject } from '../objects.ts';
import type { MergeNode } from '../patch/merge-keys.ts';
import { applyMergePatch } from '../patch/merge-patch.ts';
import { applyStrategicMerge } from '../patch/strategic-merge.ts';

export type Patch = (current: JsonObject) => JsonObject;

export const APPLY = 'application/apply-patch+yaml';

export function patchOf(type: string, body: unknown, merge: MergeNode): Patch {
  if (type === 'application/json-patch+json') return (current) => applyJsonPatch(current, body);
  if (!isJsonObject(body)) throw badRequest('Cannot apply patch: expected an object');
  if (type === 'application/merge-patch+json') return (current) => applyMergePatch(current, body);
  if (type === 'application/strategic-merge-patch+json') return (current) => applyStrategicMerge(current, body, merge);
  throw unsupportedMediaType(`the body of the request was in an unknown format: ${type}`);
}

function applyJsonPatch(current: JsonObject, patch: unknown): JsonObject {
  if (!Array.isArray(patch)) throw badRequest('Cannot apply patch: expected a list of operations');
  const result = draftOf(current);
  if (applyPatch(result, patch as JsonPatch).every((outcome) => outcome === null)) return result;
  throw new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request');
}
