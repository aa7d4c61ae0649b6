/** The kinds that are served. */
import * as pods from './kinds/pod.ts';
import { defaultService, validateService } from './kinds/service.ts';
import { allocateService } from './kinds/service-allocation.ts';
import { isJsonObject, type KubeObject } from './objects.ts';
import * as merge from './patch/merge-keys.ts';
import type { ResourceDefinition } from './resource.ts';
import * as tables from './tables.ts';

type Given = Partial<ResourceDefinition>;

/** `apps/deployments deploy`: group, resource and short name. */
function define(names: string, kind: string, ...given: readonly Given[]): ResourceDefinition {
  const [group = '', resource = '', ...shortNames] = names.split(/[/ ]/);
  return Object.assign(
    { group, resource, kind, shortNames, namespaced: true, categories: [], selectableFields: [] },
    { hasStatus: false, hasScale: false, countsGenerations: false },
    { table: tables.plainTable, merge: merge.plainMerge },
    ...given,
  );
}

const clusterWide: Given = { namespaced: false };
const withStatus: Given = { hasStatus: true };
const inAll: Given = { categories: ['all'] };
const counted: Given = { countsGenerations: true };
const selectable = (...selectableFields: readonly string[]): Given => ({ selectableFields });
const workload: Given = {
  ...{ ...inAll, ...withStatus, ...counted, hasScale: true, merge: merge.workloadMerge },
  setDefaults: pods.defaultWorkload,
  validate: pods.validateWorkload,
};

export const builtinResources: readonly ResourceDefinition[] = [
  define('/namespaces ns', 'Namespace', clusterWide, withStatus, selectable('status.phase'), {
    table: tables.namespaceTable,
    merge: merge.namespaceMerge,
    setDefaults: defaultNamespace,
  }),
  define('/services svc', 'Service', inAll, withStatus, selectable('spec.clusterIP', 'spec.type'), {
    table: tables.serviceTable,
    merge: merge.serviceMerge,
    setDefaults: defaultService,
    validate: validateService,
    allocate: allocateService,
  }),
  define('/pods po', 'Pod', inAll, withStatus, counted, selectable('spec.nodeName', 'status.phase', 'status.podIP'), {
    table: tables.podTable,
    merge: merge.podMerge,
    setDefaults: pods.defaultPod,
    validate: pods.validatePod,
    gracePeriod: pods.podGracePeriod,
  }),
  define('/nodes no', 'Node', clusterWide, withStatus, {
    table: tables.nodeTable,
    merge: merge.nodeMerge,
    setDefaults: defaultNode,
  }),
  define('/endpoints ep', 'Endpoints', { table: tables.endpointsTable }),
  define('/configmaps cm', 'ConfigMap', { table: tables.configMapTable }),
  define('/secrets', 'Secret', { table: tables.secretTable, setDefaults: defaultSecret }),
  define('/serviceaccounts sa', 'ServiceAccount'),
  // Nobody writes any here; kubectl describe asks for them.
  define('/events ev', 'Event', selectable(...['kind', 'namespace', 'name', 'uid'].map((f) => `involvedObject.${f}`))),
  define('apps/deployments deploy', 'Deployment', workload, { table: tables.deploymentTable }),
  define('apps/replicasets rs', 'ReplicaSet', workload, { table: tables.replicaSetTable }),
  define('coordination.k8s.io/leases', 'Lease'),
  define('discovery.k8s.io/endpointslices', 'EndpointSlice', counted, { table: tables.endpointSliceTable }),
];

function defaultNamespace(draft: KubeObject, old: KubeObject | undefined): void {
  draft.metadata.labels = { ...draft.metadata.labels, 'kubernetes.io/metadata.name': draft.metadata.name };
  // The namespace controller takes this away when the namespace is empty.
  if (!old) draft['spec'] = { finalizers: ['kubernetes'] };
  draft['spec'] ??= {};
  draft['status'] ??= { phase: 'Active' };
}

function defaultNode(draft: KubeObject): void {
  draft['spec'] ??= {};
  draft['status'] ??= {};
}

/** `stringData` is write-only: it ends up in `data`. */
function defaultSecret(draft: KubeObject): void {
  draft['type'] ??= 'Opaque';
  const { stringData, data } = draft;
  if (!isJsonObject(stringData)) return;
  const encoded = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(String(text)).toString('base64')]);
  draft['data'] = { ...(isJsonObject(data) ? data : {}), ...Object.fromEntries(encoded) };
  delete draft['stringData'];
}
