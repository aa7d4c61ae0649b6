/** The scale subresource: a view of an object's replicas that autoscalers and `kubectl scale` read and write. */
import { conflict, invalid, invalidValue, MODIFIED_MEANWHILE } from '../api-error.ts';
import { formatSelector } from '../label-selector.ts';
import { fieldAt, type JsonObject, type KubeObject } from '../objects.ts';
import type { ResourceDefinition } from '../resource.ts';

export function scaleOf({ metadata, spec, status }: KubeObject): JsonObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata;
  const replicas = fieldAt(spec, 'replicas');
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: replicas ? { replicas } : {},
    status: {
      replicas: fieldAt(status, 'replicas') ?? 0,
      selector: formatSelector(fieldAt(spec, 'selector.matchLabels')),
    },
  };
}

/** The object as a Scale wants it. */
export function scaled(definition: ResourceDefinition, current: KubeObject, scale: unknown): JsonObject {
  const { name, resourceVersion } = current.metadata;
  const replicas = Number(fieldAt(scale, 'spec.replicas') ?? 0);
  if (!Number.isInteger(replicas) || replicas < 0) {
    const cause = invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0');
    throw invalid({ group: 'autoscaling', resource: 'scales', kind: 'Scale' }, name, [cause]);
  }
  if ((fieldAt(scale, 'metadata.resourceVersion') ?? resourceVersion) !== resourceVersion)
    throw conflict(definition, name, MODIFIED_MEANWHILE);
  return { ...current, spec: { ...(current['spec'] as JsonObject), replicas } };
}
