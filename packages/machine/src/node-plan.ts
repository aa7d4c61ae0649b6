/** A node as planned: where on this machine it is, and which addresses it and its pods have. Plain data. */

import type { ApiAccess } from './kubernetes/client.ts';

/** A namespace with one foot on the underlay. */
export interface StationPlan {
  readonly netns: string;
  readonly address: string;
  readonly address6: string;
  /** Its link in the underlay namespace; down means cut off. */
  readonly link: string;
  readonly cgroup: string;
}

export interface NodePlan extends StationPlan {
  readonly name: string;
  readonly cluster: string;
  readonly zone: string;
  readonly podCidr: string;
  readonly podCidr6: string;
  /** The node's own address towards its pods. */
  readonly gateway: string;
  readonly gateway6: string;
  readonly directory: string;
  readonly agentSocket: string;
  readonly bpfDirectory: string;
  /** The Kubernetes API of its cluster. */
  readonly api: ApiAccess;
}
