/** The Node object by which a kubelet registers its node. */
import { release } from 'node:os';
import type { Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';

export function nodeObject(node: NodePlan, now: string): { readonly manifest: Manifest; readonly status: object } {
  const labels = {
    'kubernetes.io/hostname': node.name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : process.arch,
    'topology.kubernetes.io/region': node.cluster,
    'topology.kubernetes.io/zone': node.zone,
  };
  const capacity = { cpu: '2', memory: '4Gi', pods: '253' };
  return {
    manifest: {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: node.name, labels },
      spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr, node.podCidr6] },
    },
    status: {
      addresses: [
        { type: 'InternalIP', address: node.address },
        { type: 'InternalIP', address: node.address6 },
        { type: 'Hostname', address: node.name },
      ],
      capacity,
      allocatable: capacity,
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'KubeletReady',
          message: 'the development kubelet is running',
          lastHeartbeatTime: now,
          lastTransitionTime: now,
        },
      ],
      nodeInfo: {
        kubeletVersion: 'v1.32.0-small',
        containerRuntimeVersion: 'processes://',
        operatingSystem: 'linux',
        architecture: labels['kubernetes.io/arch'],
        osImage: 'Tombolo development node',
        kernelVersion: release(),
      },
    },
  };
}
