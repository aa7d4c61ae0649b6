/** The fields of built-in kinds that this server and its controllers read or write. Everything else passes through. */
import type { KubeObject, StringMap } from '../objects.ts';

export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export interface ServicePort {
  name?: string;
  port: number;
  protocol?: string;
  targetPort?: number | string;
  nodePort?: number;
}

type ServiceText = 'type' | 'clusterIP' | 'ipFamilyPolicy' | 'sessionAffinity' | 'externalName';
type ServicePolicy = 'internalTrafficPolicy' | 'externalTrafficPolicy';

export interface ServiceSpec extends Partial<Record<ServiceText | ServicePolicy, string>> {
  selector?: StringMap;
  ports?: ServicePort[];
  clusterIPs?: string[];
  ipFamilies?: string[];
  externalIPs?: string[];
  sessionAffinityConfig?: unknown;
  allocateLoadBalancerNodePorts?: boolean;
  publishNotReadyAddresses?: boolean;
}

export interface Service extends KubeObject {
  spec: ServiceSpec;
}

export interface Container {
  name: string;
  image?: string;
  ports?: { name?: string; containerPort: number; protocol?: string }[];
}

export interface PodSpec {
  containers: Container[];
  nodeName?: string;
  nodeSelector?: StringMap;
  terminationGracePeriodSeconds?: number;
}

export interface PodStatus {
  phase?: string;
  podIP?: string;
  podIPs?: { ip: string }[];
  conditions?: Condition[];
  containerStatuses?: { name: string; ready?: boolean; restartCount?: number; state?: unknown }[];
}

export interface Pod extends KubeObject {
  spec: PodSpec;
  status: PodStatus;
}

export interface Node extends KubeObject {
  spec: { unschedulable?: boolean };
  status?: { conditions?: Condition[]; addresses?: { type: string; address: string }[] };
}

export interface WorkloadSpec {
  replicas?: number;
  selector: { matchLabels?: StringMap };
  template: { metadata?: { labels?: StringMap }; spec: PodSpec };
  strategy?: { type?: string; rollingUpdate?: { maxSurge?: number | string; maxUnavailable?: number | string } };
}

type Counted = 'replicas' | 'readyReplicas' | 'availableReplicas' | 'updatedReplicas' | 'unavailableReplicas';

export interface WorkloadStatus extends Partial<Record<Counted | 'observedGeneration', number>> {
  conditions?: Condition[];
}

/** Deployment and ReplicaSet. */
export interface Workload extends KubeObject {
  spec: WorkloadSpec;
  status: WorkloadStatus;
}

/** The tables of the kinds that controllers follow. */
export const tables = {
  namespaces: '/namespaces',
  services: '/services',
  pods: '/pods',
  nodes: '/nodes',
  endpoints: '/endpoints',
  serviceAccounts: '/serviceaccounts',
  deployments: 'apps/deployments',
  replicaSets: 'apps/replicasets',
  endpointSlices: 'discovery.k8s.io/endpointslices',
} as const;
