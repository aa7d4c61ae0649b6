/** Pods and the pod templates of workloads: defaults, obvious errors, and how long a deletion waits for the kubelet. */
import { type Cause, duplicate, invalidValue, required } from '../api-error.ts';
import type { KubeObject } from '../objects.ts';
import type { Pod, PodSpec } from './typed.ts';

const DEFAULT_GRACE_SECONDS = 30;

export function defaultPod(draft: KubeObject, old: KubeObject | undefined): void {
  const pod = draft as Pod;
  defaultPodSpec(pod.spec);
  if (pod.spec) pod.spec.serviceAccountName ??= 'default';
  if (!old) pod.status = { phase: 'Pending', qosClass: 'BestEffort' };
  pod.status ??= { phase: 'Pending' };
}

export function defaultPodSpec(spec: PodSpec | undefined): void {
  if (!spec) return;
  spec.restartPolicy ??= 'Always';
  spec.terminationGracePeriodSeconds ??= DEFAULT_GRACE_SECONDS;
  spec.dnsPolicy ??= 'ClusterFirst';
  spec.schedulerName ??= 'default-scheduler';
  spec.securityContext ??= {};
  for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    container.resources ??= {};
    container.imagePullPolicy ??= /:(?!latest$)[^/]+$/.test(container.image ?? '') ? 'IfNotPresent' : 'Always';
    container.terminationMessagePath ??= '/dev/termination-log';
    container.terminationMessagePolicy ??= 'File';
    for (const port of container.ports ?? []) port.protocol ??= 'TCP';
  }
}

export function validatePod(object: KubeObject, old: KubeObject | undefined): Cause[] {
  const { spec } = object as Pod;
  const before = (old as Pod | undefined)?.spec.nodeName;
  return [
    ...validatePodSpec(spec, 'spec'),
    ...(before && spec?.nodeName !== before
      ? [invalidValue('spec.nodeName', spec?.nodeName ?? '', 'may not change once the pod is assigned to a node')]
      : []),
  ];
}

export function validatePodSpec(spec: PodSpec | undefined, field: string): Cause[] {
  if (!spec?.containers?.length) return [required(`${field}.containers`)];
  const names = new Set<string>();
  return spec.containers.flatMap(({ name, image, ports }, at) => {
    const causes: Cause[] = [];
    const here = `${field}.containers[${at}]`;
    if (!name) causes.push(required(`${here}.name`));
    else if (names.has(name)) causes.push(duplicate(`${here}.name`, name));
    if (!image) causes.push(required(`${here}.image`));
    names.add(name);
    for (const [index, { containerPort }] of (ports ?? []).entries()) {
      if (Number.isInteger(containerPort) && containerPort >= 1 && containerPort <= 65535) continue;
      causes.push(
        invalidValue(`${here}.ports[${index}].containerPort`, containerPort, 'must be between 1 and 65535, inclusive'),
      );
    }
    return causes;
  });
}

/** Nobody has to stop a pod that was never scheduled or has ended. */
export function podGracePeriod(object: KubeObject): number {
  const { spec, status } = object as Pod;
  if (!spec.nodeName || status.phase === 'Succeeded' || status.phase === 'Failed') return 0;
  return spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
}
