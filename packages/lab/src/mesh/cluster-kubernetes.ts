import type { Program } from '@tombolo/machine/program.ts';

/** What a mesh needs of a cluster's Kubernetes, be it the small one or the real one. */
export interface ClusterKubernetes {
  /** The API and its controllers; the nodes as far as they do without. */
  start(): Promise<void>;
  /** The API answers. */
  ready(): Promise<void>;
  startNodes(): Promise<void>;
  nodesReady(): Promise<void>;
  /** kube-proxy on the node of this name; undefined where none runs. */
  proxy(node: string): Promise<Program | undefined>;
  /** `kill -9` to the API and the controllers. */
  kill(): Promise<void>;
}

/** Where a pod is on this machine, to run something in it. */
export interface PodPlaces {
  readonly netns: string;
  /** A group that what is run there has for itself; below the node's. */
  readonly cgroup: string;
  /** For logs. */
  readonly directory: string;
}
