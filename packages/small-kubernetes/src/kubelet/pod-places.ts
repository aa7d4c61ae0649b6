/** Where a pod is on its node: its network namespace, control group and logs follow from its name and uid. */
import type { Pod } from '@tombolo/machine/kubernetes/objects.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';

export interface PodPlaces {
  readonly netns: string;
  /** The pod's own; its containers and the commands run in it have groups below. */
  readonly cgroup: string;
  readonly directory: string;
  /** The node's end of its veth pair. */
  readonly link: string;
}

export function podPlaces(node: NodePlan, pod: Pod): PodPlaces {
  const { name, namespace = 'default', uid } = pod.metadata;
  const short = uid.replaceAll('-', '').slice(0, 8);
  const id = `${namespace}.${name.slice(0, 60)}.${short}`;
  return {
    netns: `${podNetnsPrefix(node)}${id}`,
    cgroup: `${podsCgroup(node)}/${id}`,
    directory: `${node.directory}/pods/${id}`,
    link: `pod${short}`,
  };
}

export const podNetnsPrefix = (node: NodePlan): string => `${node.netns}.`;
export const podsCgroup = (node: NodePlan): string => `${node.cgroup}/pods`;
