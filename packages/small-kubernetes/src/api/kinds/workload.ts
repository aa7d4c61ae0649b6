/** Deployments, ReplicaSets and StatefulSets: defaults and checks. */
import { isDeepStrictEqual } from 'node:util';
import { type Cause, invalidValue, required } from '../api-error.ts';
import { selectorOfSpec } from '../label-selector.ts';
import type { KubeObject } from '../objects.ts';
import { defaultPodSpec, validatePodSpec } from './pod.ts';
import type { Workload } from './typed.ts';

export function defaultDeployment(draft: KubeObject): void {
  const { spec } = draft as Workload;
  defaultReplicaSet(draft);
  if (!spec) return;
  spec.strategy ??= {};
  spec.strategy.type ??= 'RollingUpdate';
  if (spec.strategy.type === 'RollingUpdate') {
    spec.strategy.rollingUpdate ??= {};
    spec.strategy.rollingUpdate.maxSurge ??= '25%';
    spec.strategy.rollingUpdate.maxUnavailable ??= '25%';
  }
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
}

export function defaultReplicaSet(draft: KubeObject): void {
  const workload = draft as Workload;
  workload.status ??= { replicas: 0 };
  if (!workload.spec) return;
  workload.spec.replicas ??= 1;
  defaultPodSpec(workload.spec.template?.spec);
}

export function defaultStatefulSet(draft: KubeObject): void {
  const { spec } = draft as Workload;
  defaultReplicaSet(draft);
  if (!spec) return;
  spec.podManagementPolicy ??= 'OrderedReady';
  spec.updateStrategy ??= { type: 'RollingUpdate', rollingUpdate: { partition: 0 } };
  spec.revisionHistoryLimit ??= 10;
}

export function validateWorkload(object: KubeObject, old: KubeObject | undefined): Cause[] {
  const { spec } = object as Workload;
  if (!spec?.selector) return [required('spec.selector')];
  const causes = validatePodSpec(spec.template?.spec, 'spec.template.spec');
  const labels = spec.template?.metadata?.labels ?? {};
  if (!selectorOfSpec(spec.selector)(labels)) {
    causes.push(invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'));
  }
  if (!Number.isInteger(spec.replicas) || (spec.replicas ?? 0) < 0) {
    causes.push(invalidValue('spec.replicas', spec.replicas, 'must be greater than or equal to 0'));
  }
  if (old && !isDeepStrictEqual((old as Workload).spec.selector, spec.selector)) {
    causes.push(invalidValue('spec.selector', spec.selector, 'field is immutable'));
  }
  return causes;
}
