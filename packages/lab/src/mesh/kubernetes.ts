/** The Kubernetes of a cluster, the small one or the real one. */
import type { Pod } from '@tombolo/machine/kubernetes/objects.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import type { ClusterKubernetes, PodPlaces } from './cluster-kubernetes.ts';
import type { ClusterPlan, KubernetesKind, MeshPlan } from './plan.ts';
import { RealCluster, realPodPlaces } from './real-kubernetes.ts';
import { SmallCluster, smallPodPlaces } from './small-kubernetes.ts';

export function clusterKubernetes(mesh: MeshPlan, cluster: ClusterPlan): ClusterKubernetes {
  const { kubernetes } = mesh;
  return kubernetes.kind === 'real' ? new RealCluster(cluster, kubernetes) : new SmallCluster(cluster);
}

export function podPlacesOf({ kind }: KubernetesKind, node: NodePlan, pod: Pod): Promise<PodPlaces> {
  return kind === 'real' ? realPodPlaces(node, pod) : Promise.resolve(smallPodPlaces(node, pod));
}
