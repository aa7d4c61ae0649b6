/** Which kind of patch a PATCH request carries, as a function from the object before to the object after. */
import { badRequest, unsupportedMediaType } from '../api-error.ts';
import { isJsonObject, type JsonObject } from '../objects.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import { applyMergePatch } from '../patch/merge-patch.ts';
import { applyStrategicMerge, type MergeNode } from '../patch/strategic-merge.ts';
import { parseJson } from './request.ts';

export type Patch = (current: JsonObject) => JsonObject;

const ACCEPTED = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
];

/** `merge` is undefined for custom resources, which have no strategic merge. */
export function patchOf(type: string, text: string, merge: MergeNode | undefined): Patch {
  switch (type) {
    case 'application/json-patch+json': {
      const operations = parseJson(text);
      return (current) => applyJsonPatch(current, operations);
    }
    case 'application/merge-patch+json': {
      const patch = patchObject(text);
      return (current) => applyMergePatch(current, patch);
    }
    case 'application/strategic-merge-patch+json': {
      if (!merge) break;
      const patch = patchObject(text);
      return (current) => applyStrategicMerge(current, patch, merge);
    }
    case 'application/apply-patch+yaml':
      throw unsupportedMediaType(
        'server-side apply is not supported by this development API server: use kubectl apply without --server-side',
      );
  }
  const accepted = merge ? ACCEPTED : ACCEPTED.slice(0, 2);
  throw unsupportedMediaType(
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}: current value is ${type}`,
  );
}

function patchObject(text: string): JsonObject {
  const patch = parseJson(text);
  if (!isJsonObject(patch)) throw badRequest('Cannot apply patch: expected an object');
  return patch;
}
