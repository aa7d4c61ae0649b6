/**
 * The labels that make up a pod's security identity, as Cilium chooses them by default: its own labels but those that
 * differ from pod to pod or that machinery sets, its namespace's labels, its service account, namespace and cluster.
 */
import type { KubernetesPod } from '@tombolo/shared/kubernetes/pod-object.ts';
import type { ClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import { encodeIdentity } from '@tombolo/shared/wire/identity.ts';
import { wireIdentity } from '@tombolo/shared/wire/to-wire.ts';

type Texts = Readonly<Record<string, string>>;

const IRRELEVANT = new RegExp(
  `^(${[
    'io\\.kubernetes',
    'kubernetes\\.io',
    '.*beta\\.kubernetes\\.io',
    'k8s\\.io',
    'pod-template-(generation|hash)',
    'controller-(revision-hash|uid)',
    'statefulset\\.kubernetes\\.io/pod-name',
    'apps\\.kubernetes\\.io/pod-index',
    'batch\\.kubernetes\\.io/(controller-uid|job-completion-index)',
    'annotation',
    'etcd_node',
    // Set from facts, below: a pod cannot claim to be from elsewhere.
    'io\\.cilium\\.k8s',
  ].join('|')})`,
);

/** The text of the identity's entry: equal for pods with equal identities. */
export function identityText(cluster: ClusterIdentity, pod: KubernetesPod, namespaceLabels: Texts): string {
  const { namespace, serviceAccount } = pod;
  const podLabels = Object.fromEntries(Object.entries(pod.labels).filter(([key]) => !IRRELEVANT.test(key)));
  return encodeIdentity(wireIdentity(cluster, { id: 0, namespace, serviceAccount, podLabels, namespaceLabels }));
}
