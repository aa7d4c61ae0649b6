/** Pods and the pod templates of workloads: defaults, obvious errors, and how long a deletion waits for the kubelet. */
import { isDeepStrictEqual } from 'node:util';
import { type Cause, invalidValue, required } from '../api-error.ts';
import { selectorOfSpec } from '../label-selector.ts';
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

export function validatePod(object: KubeObject, old: KubeObject | undefined): Cause[] {
  const { spec } = object as Pod;
  const before = (old as Pod | undefined)?.spec.nodeName;
  const moved = before && spec?.nodeName !== before;
  const why = 'may not change once the pod is assigned to a node';
  return [
    ...validatePodSpec(spec, 'spec'),
    ...(moved ? [invalidValue('spec.nodeName', spec?.nodeName ?? '', why)] : []),
  ];
}

function validatePodSpec(spec: PodSpec | undefined, field: string): Cause[] {
  if (!spec?.containers?.length) return [required(`${field}.containers`)];
  return spec.containers.flatMap(({ name, image, ports = [] }, at) => {
    const here = `${field}.containers[${at}]`;
    const wrong = ports.filter(({ containerPort: port }) => !(Number.isInteger(port) && port >= 1 && port <= 65535));
    return [
      ...(name ? [] : [required(`${here}.name`)]),
      ...(image ? [] : [required(`${here}.image`)]),
      ...wrong.map(({ containerPort }) =>
        invalidValue(`${here}.ports.containerPort`, containerPort, 'must be between 1 and 65535, inclusive'),
      ),
    ];
  });
}

/** Nobody has to stop a pod that was never scheduled. */
export function podGracePeriod(object: KubeObject): number {
  const { nodeName, terminationGracePeriodSeconds } = (object as Pod).spec;
  return nodeName ? (terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS) : 0;
}

export function defaultReplicaSet(draft: KubeObject): void {
  const workload = draft as Workload;
  workload.status ??= { replicas: 0 };
  if (!workload.spec) return;
  workload.spec.replicas ??= 1;
  defaultPodSpec(workload.spec.template?.spec);
}

export function defaultDeployment(draft: KubeObject): void {
  const { spec } = draft as Workload;
  defaultReplicaSet(draft);
  if (!spec) return;
  spec.strategy ??= {};
  spec.strategy.type ??= 'RollingUpdate';
  if (spec.strategy.type === 'RollingUpdate') {
    spec.strategy.rollingUpdate = { maxSurge: '25%', maxUnavailable: '25%', ...spec.strategy.rollingUpdate };
  }
}

export function validateWorkload(object: KubeObject, old: KubeObject | undefined): Cause[] {
  const { spec } = object as Workload;
  if (!spec?.selector) return [required('spec.selector')];
  const labels = spec.template?.metadata?.labels ?? {};
  const { selector } = (old as Workload | undefined)?.spec ?? spec;
  const replicas = spec.replicas ?? 1;
  return [
    ...validatePodSpec(spec.template?.spec, 'spec.template.spec'),
    ...(selectorOfSpec(spec.selector)(labels)
      ? []
      : [invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`')]),
    ...(isDeepStrictEqual(selector, spec.selector)
      ? []
      : [invalidValue('spec.selector', spec.selector, 'field is immutable')]),
    ...(Number.isInteger(replicas) && replicas >= 0
      ? []
      : [invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0')]),
  ];
}
