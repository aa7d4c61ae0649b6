/** What holds of everything that the chart makes, whatever the values. Each rule answers with sentences about what breaks it. */
import type { Manifest } from './helm.ts';
import { type Container, containersOf, type Workload, workloads } from './workloads.ts';

export interface Expectations {
  readonly privileged: boolean;
}

/** Containers that work on the kernel of their node, by workload. */
const ON_THE_KERNEL = ['tombolo-node-agent/agent', 'tombolo-uninstall/uninstall'];
/** Objects without a namespace. */
const CLUSTER_WIDE = [
  ...['ClusterRole', 'ClusterRoleBinding', 'CustomResourceDefinition'],
  ...['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'],
];

export function violations(manifests: readonly Manifest[], expected: Expectations): readonly string[] {
  const all = workloads(manifests);
  return [
    ...namesTwice(manifests),
    ...manifests.flatMap(placeProblems),
    ...all.flatMap((workload) => [...selectorProblems(workload), ...volumeProblems(workload)]),
    ...all.flatMap((workload) => containersOf(workload).flatMap((each) => containerProblems(workload, each, expected))),
    ...all.flatMap((workload) => accountProblems(workload, manifests)),
    ...selectionProblems(manifests, all),
  ];
}

const idOf = ({ kind, metadata }: Manifest): string => `${kind}/${metadata.name}`;

function namesTwice(manifests: readonly Manifest[]): readonly string[] {
  const ids = manifests.map(idOf);
  return ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `${id} is made twice`);
}

function placeProblems(manifest: Manifest): readonly string[] {
  const { namespace, labels } = manifest.metadata;
  const wanted = CLUSTER_WIDE.includes(manifest.kind) ? undefined : 'tombolo';
  return [
    ...(namespace === wanted ? [] : [`${idOf(manifest)} is in namespace ${namespace}`]),
    ...(labels?.['app.kubernetes.io/name'] === 'tombolo' ? [] : [`${idOf(manifest)} is not labelled`]),
  ];
}

function selectorProblems({ manifest, selector, podLabels }: Workload): readonly string[] {
  if (manifest.kind === 'Job') return [];
  const missing = Object.entries(selector ?? { selector: '' }).filter(([key, value]) => podLabels[key] !== value);
  return missing.map(([key]) => `${idOf(manifest)} selects by ${key}, which its pods do not have`);
}

function volumeProblems(workload: Workload): readonly string[] {
  const volumes = new Set([...(workload.pod.volumes ?? []).map(({ name }) => name), ...workload.claims]);
  const mounted = containersOf(workload).flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name));
  const id = idOf(workload.manifest);
  return [
    ...mounted.filter((name) => !volumes.has(name)).map((name) => `${id} mounts ${name}, which is no volume`),
    ...[...volumes].filter((name) => !mounted.includes(name)).map((name) => `${id} does not mount ${name}`),
  ];
}

function containerProblems({ manifest, pod }: Workload, container: Container, expected: Expectations): string[] {
  const id = `${manifest.metadata.name}/${container.name}`;
  const { securityContext: security } = container;
  const problems: string[] = [];
  const demand = (holds: boolean, sentence: string): void => {
    if (!holds) problems.push(`${id} ${sentence}`);
  };
  const onKernel = ON_THE_KERNEL.includes(id);
  demand(security.readOnlyRootFilesystem === true, 'can write to its root file system');
  demand((security.privileged ?? false) === (onKernel && expected.privileged), 'is privileged, or is not, unasked');
  if (security.privileged !== true) {
    demand(security.allowPrivilegeEscalation === false, 'may gain privileges');
    demand(security.capabilities?.drop?.join() === 'ALL', 'keeps capabilities');
    demand(security.seccompProfile?.type === 'RuntimeDefault', 'has no seccomp profile');
  }
  demand(onKernel || security.capabilities?.add === undefined, 'has capabilities that it does not need');
  demand(onKernel || (security.runAsNonRoot === true && security.runAsUser === 65_532), 'runs as root');
  const words = [
    ...container.command,
    ...(container.args ?? []),
    ...(container.env ?? []).map(({ value = '' }) => value),
  ];
  demand(
    words.every((word) => typeof word === 'string'),
    'has an argument or a variable that is not text',
  );
  demand(container.resources?.requests !== undefined, 'requests no resources');
  demand(/^[^:@]+\/[^:@]+(:[^:@]+|@sha256:[0-9a-f]{64})$/.test(container.image), `has the image ${container.image}`);
  demand(!container.image.endsWith(':latest'), 'has an image whose tag moves');
  const isServer = manifest.metadata.name !== 'tombolo-uninstall';
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const) {
    demand(!isServer || container[probe] !== undefined, `has no ${probe}`);
  }
  demand(manifest.kind === 'Job' || pod.priorityClassName !== undefined, 'has no priority class');
  return problems;
}

/** A token of the API only where it is used, and an account of one's own. */
function accountProblems({ manifest, pod }: Workload, manifests: readonly Manifest[]): readonly string[] {
  const account = pod.serviceAccountName;
  const id = idOf(manifest);
  if (account === undefined) return pod.automountServiceAccountToken === false ? [] : [`${id} has a token unused`];
  return [
    ...(manifests.some((each) => idOf(each) === `ServiceAccount/${account}`) ? [] : [`${id} has no ${account}`]),
    ...(pod.automountServiceAccountToken === undefined ? [`${id} leaves the token to its account`] : []),
  ];
}

/** Services, budgets and policies select pods that are there. */
function selectionProblems(manifests: readonly Manifest[], all: readonly Workload[]): readonly string[] {
  return manifests.flatMap((manifest) => {
    const selector = selectorOf(manifest);
    if (selector === undefined) return [];
    const selects = ({ podLabels }: Workload) =>
      Object.entries(selector).every(([key, value]) => podLabels[key] === value);
    return all.filter(selects).length === 1 ? [] : [`${idOf(manifest)} does not select the pods of one workload`];
  });
}

type Labels = Readonly<Record<string, string>>;

function selectorOf({ kind, ...manifest }: Manifest): Labels | undefined {
  const { selector, podSelector } = (manifest['spec'] ?? {}) as Readonly<Record<string, unknown>>;
  const matchLabels = (of: unknown): Labels => (of as { readonly matchLabels: Labels }).matchLabels;
  switch (kind) {
    case 'Service':
      return selector as Labels;
    case 'PodDisruptionBudget':
    case 'PodMonitor':
      return matchLabels(selector);
    case 'NetworkPolicy':
      return matchLabels(podSelector);
    default:
      return undefined;
  }
}
