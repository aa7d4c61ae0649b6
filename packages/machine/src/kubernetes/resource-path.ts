/** Where objects live in the Kubernetes API, for the kinds that the development cluster creates itself. */
const CLUSTER_SCOPED = new Set([
  ...['Namespace', 'Node', 'CustomResourceDefinition', 'PersistentVolume', 'ClusterRole'],
  'CiliumLoadBalancerIPPool',
]);

export interface ObjectAddress {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string | undefined };
}

/** `default` when the object names no namespace, as kubectl has it. */
export function collectionPath({ apiVersion, kind, metadata }: ObjectAddress): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = CLUSTER_SCOPED.has(kind) ? '' : `/namespaces/${metadata.namespace ?? 'default'}`;
  return `${root}${scope}/${plural(kind)}`;
}

export function objectPath(address: ObjectAddress): string {
  return `${collectionPath(address)}/${address.metadata.name}`;
}

function plural(kind: string): string {
  const name = kind.toLowerCase();
  if (name.endsWith('y')) return `${name.slice(0, -1)}ies`;
  return name.endsWith('s') ? `${name}es` : `${name}s`;
}
