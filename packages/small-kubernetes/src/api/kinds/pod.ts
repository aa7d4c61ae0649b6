/** Pods and the pod templates of workloads: defaults, obvious errors, and how long a deletion waits for the kubelet. */
import { isDeepStrictEqual } from 'node:util';
import { type Cause, invalidValue, required } from '../api-error.ts';
import { matchesMap } from '../label-selector.ts';
import type { KubeObject } from '../objects.ts';
import type { Pod, PodSpec, Workload } from './typed.ts';

const DEFAULT_GRACE_SECONDS = 30;

export function defaultPod(draft: KubeObject): void {
  const pod = draft as Pod;
  defaultPodSpec(pod.spec);
  pod.status ??= { phase: 'Pending' };
}

/** Fields that nothing here goes by are left as they were given. */
function defaultPodSpec(spec: PodSpec | undefined): void {
  for (const port of spec?.containers?.flatMap(({ ports = [] }) => ports) ?? []) port.protocol ??= 'TCP';
}

export const validatePod = (object: KubeObject): Cause[] => validatePodSpec((object as Pod).spec, 'spec');

function validatePodSpec(spec: PodSpec | undefined, field: string): Cause[] {
  if (!spec?.containers?.length) return [required(`${field}.containers`)];
  return spec.containers.flatMap(({ name, image }, at) => [
    ...(name ? [] : [required(`${field}.containers[${at}].name`)]),
    ...(image ? [] : [required(`${field}.containers[${at}].image`)]),
  ]);
}

/** Nobody has to stop a pod that was never scheduled. */
export function podGracePeriod(object: KubeObject): number {
  const { nodeName, terminationGracePeriodSeconds } = (object as Pod).spec;
  return nodeName ? (terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS) : 0;
}

/** Deployment and ReplicaSet. */
export function defaultWorkload(draft: KubeObject): void {
  const workload = draft as Workload;
  workload.status ??= { replicas: 0 };
  if (!workload.spec) return;
  workload.spec.replicas ??= 1;
  const rollingUpdate = { maxSurge: '25%', maxUnavailable: '25%' };
  if (draft.kind === 'Deployment') workload.spec.strategy ??= { type: 'RollingUpdate', rollingUpdate };
  defaultPodSpec(workload.spec.template?.spec);
}

export function validateWorkload(object: KubeObject, old: KubeObject | undefined): Cause[] {
  const { spec } = object as Workload;
  if (!spec?.selector) return [required('spec.selector')];
  const labels = spec.template?.metadata?.labels ?? {};
  const { selector } = (old as Workload | undefined)?.spec ?? spec;
  const { replicas = 1 } = spec;
  const causes = validatePodSpec(spec.template?.spec, 'spec.template.spec');
  const refuse = (field: string, value: unknown, why: string) => void causes.push(invalidValue(field, value, why));
  if (!matchesMap(spec.selector.matchLabels, labels))
    refuse('spec.template.metadata.labels', labels, '`selector` does not match template `labels`');
  if (!isDeepStrictEqual(selector, spec.selector)) refuse('spec.selector', spec.selector, 'field is immutable');
  if (!(Number.isInteger(replicas) && replicas >= 0))
    refuse('spec.replicas', replicas, 'must be greater than or equal to 0');
  return causes;
}
