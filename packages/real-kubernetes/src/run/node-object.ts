/** The Node object as the lab plans it: kubelet finds it and adds what it knows. */
import type { Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';

export function nodeObject(node: NodePlan, podCidrs: readonly string[]): Manifest {
  const { name, zone, cluster } = node;
  const labels = {
    'kubernetes.io/hostname': name,
    'topology.kubernetes.io/zone': zone,
    'topology.kubernetes.io/region': cluster,
  };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
    spec: { podCIDR: podCidrs[0], podCIDRs: podCidrs },
  };
}
