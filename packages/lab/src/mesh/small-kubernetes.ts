/** A cluster on the small Kubernetes: one process for API and controllers, one kubelet for each node. */
import { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import type { Pod } from '@tombolo/machine/kubernetes/objects.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import { Program } from '@tombolo/machine/program.ts';
import { programReady } from '@tombolo/machine/readiness.ts';
import { allDone } from '@tombolo/machine/wait.ts';
import { podPlaces } from '@tombolo/small-kubernetes/kubelet/pod-places.ts';
import type { ClusterKubernetes, PodPlaces } from './cluster-kubernetes.ts';
import type { ClusterPlan } from './plan.ts';
import { kubeletSpec, kubernetesSpec } from './programs.ts';

export class SmallCluster implements ClusterKubernetes {
  readonly #api: KubernetesClient;
  readonly #kubernetes: Program;
  readonly #kubelets: readonly Program[];
  readonly #nodes: readonly NodePlan[];

  constructor(cluster: ClusterPlan) {
    this.#api = new KubernetesClient(cluster.api);
    this.#kubernetes = new Program(kubernetesSpec(cluster));
    this.#kubelets = cluster.nodes.map((node) => new Program(kubeletSpec(node)));
    this.#nodes = cluster.nodes;
  }

  start(): Promise<void> {
    return this.#kubernetes.start();
  }

  ready(): Promise<void> {
    return programReady(this.#kubernetes, async () => (await this.#api.get('/version')) !== undefined);
  }

  startNodes(): Promise<void> {
    return allDone(this.#kubelets.map((kubelet) => kubelet.start()));
  }

  nodesReady(): Promise<void> {
    return this.#api.nodesReady(this.#nodes.map(({ name }) => name));
  }

  async proxy(): Promise<undefined> {}

  kill(): Promise<void> {
    return this.#kubernetes.kill();
  }
}

export function smallPodPlaces(node: NodePlan, pod: Pod): PodPlaces {
  const { netns, cgroup, directory } = podPlaces(node, pod);
  return { netns, directory, cgroup: `${cgroup}/exec` };
}
