/** The scale subresource: a view of an object's replicas that autoscalers and `kubectl scale` read and write. */
import { badRequest, conflict, MODIFIED_MEANWHILE } from './api-error.ts';
import { formatLabelSelector } from './label-selector.ts';
import { fieldAt, type JsonObject, type KubeObject, setFieldAt } from './objects.ts';
import type { ResourceDefinition, ScalePaths } from './resource.ts';

export function scaleOf({ metadata, ...object }: KubeObject, paths: ScalePaths): JsonObject {
  const selector = fieldAt(object, paths.selector.split('.'));
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: Number(fieldAt(object, paths.replicas.split('.')) ?? 0) },
    status: {
      replicas: Number(fieldAt(object, paths.statusReplicas.split('.')) ?? 0),
      selector: typeof selector === 'string' ? selector : formatLabelSelector(selector),
    },
  };
}

/** Changes the draft to what a Scale asks for. */
export function applyScale(
  definition: ResourceDefinition,
  paths: ScalePaths,
  draft: KubeObject,
  scale: unknown,
): KubeObject {
  const replicas = fieldAt(scale, ['spec', 'replicas']) ?? 0;
  if (!Number.isInteger(replicas) || Number(replicas) < 0) {
    throw badRequest(`spec.replicas: expected a whole number from 0: current value is ${JSON.stringify(replicas)}`);
  }
  const seen = fieldAt(scale, ['metadata', 'resourceVersion']);
  if (seen && seen !== draft.metadata.resourceVersion)
    throw conflict(definition, draft.metadata.name, MODIFIED_MEANWHILE);
  setFieldAt(draft, paths.replicas.split('.'), replicas);
  return draft;
}
