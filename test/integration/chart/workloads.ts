/** The pods that manifests make, with names for what the tests look at. */
import type { Json, Manifest } from './helm.ts';

export interface SecurityContext {
  readonly privileged?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly readOnlyRootFilesystem?: boolean;
  readonly runAsNonRoot?: boolean;
  readonly runAsUser?: number;
  readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  readonly seccompProfile?: { readonly type: string };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly securityContext: SecurityContext;
  readonly resources?: { readonly requests?: Json };
  readonly startupProbe?: Json;
  readonly livenessProbe?: Json;
  readonly readinessProbe?: Json;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

export interface PodSpec {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly hostNetwork?: boolean;
  readonly priorityClassName?: string;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly { readonly name: string; readonly secret?: { readonly secretName: string } }[];
}

export interface Workload {
  readonly manifest: Manifest;
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly podLabels: Readonly<Record<string, string>>;
  readonly pod: PodSpec;
  readonly claims: readonly string[];
}

interface WorkloadSpec {
  readonly selector?: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
  readonly template: {
    readonly metadata: { readonly labels: Readonly<Record<string, string>> };
    readonly spec: PodSpec;
  };
}

const KINDS = ['DaemonSet', 'Deployment', 'StatefulSet', 'Job'];

export const workloads = (manifests: readonly Manifest[]): readonly Workload[] =>
  manifests
    .filter(({ kind }) => KINDS.includes(kind))
    .map((manifest) => {
      const { selector, template, volumeClaimTemplates = [] } = manifest['spec'] as WorkloadSpec;
      return {
        manifest,
        selector: selector?.matchLabels,
        podLabels: template.metadata.labels,
        pod: template.spec,
        claims: volumeClaimTemplates.map(({ metadata }) => metadata.name),
      };
    });

export const containersOf = ({ pod }: Workload): readonly Container[] => [
  ...(pod.initContainers ?? []),
  ...pod.containers,
];

/** Throws when the chart makes no such container. */
export function containerOf(manifests: readonly Manifest[], workload: string, container: string): Container {
  const found = workloads(manifests)
    .filter(({ manifest }) => manifest.metadata.name === workload)
    .flatMap(containersOf)
    .find(({ name }) => name === container);
  if (!found) throw new Error(`Cannot find container ${container} of ${workload}`);
  return found;
}
