/** The kinds that are served. */
import { type Cause, invalidValue } from './api-error.ts';
import * as columns from './columns.ts';
import {
  defaultDeployment,
  defaultPod,
  defaultReplicaSet,
  podGracePeriod,
  validatePod,
  validateWorkload,
} from './kinds/pod.ts';
import { defaultService, validateService } from './kinds/service.ts';
import { allocateService } from './kinds/service-allocation.ts';
import type { Node } from './kinds/typed.ts';
import { isJsonObject, type KubeObject } from './objects.ts';
import * as merge from './patch/merge-keys.ts';
import type { ResourceDefinition } from './resource.ts';

type Given = Partial<ResourceDefinition> & Pick<ResourceDefinition, 'kind' | 'resource'>;

const define = (group: string, given: Given): ResourceDefinition => ({
  group,
  version: 'v1',
  namespaced: true,
  shortNames: [],
  categories: [],
  hasStatus: false,
  hasScale: false,
  countsGenerations: false,
  selectableFields: [],
  columns: columns.plainColumns,
  merge: merge.plainMerge,
  ...given,
});

const workload = (given: Given): ResourceDefinition =>
  define('apps', {
    categories: ['all'],
    hasStatus: true,
    hasScale: true,
    countsGenerations: true,
    merge: merge.workloadMerge,
    validate: validateWorkload,
    ...given,
  });

export const builtinResources: readonly ResourceDefinition[] = [
  define('', {
    kind: 'Namespace',
    resource: 'namespaces',
    namespaced: false,
    shortNames: ['ns'],
    hasStatus: true,
    selectableFields: ['status.phase'],
    columns: columns.namespaceColumns,
    merge: merge.namespaceMerge,
    setDefaults: defaultNamespace,
  }),
  define('', {
    kind: 'Service',
    resource: 'services',
    shortNames: ['svc'],
    categories: ['all'],
    hasStatus: true,
    selectableFields: ['spec.clusterIP', 'spec.type'],
    columns: columns.serviceColumns,
    merge: merge.serviceMerge,
    setDefaults: defaultService,
    validate: validateService,
    allocate: allocateService,
  }),
  define('', {
    kind: 'Pod',
    resource: 'pods',
    shortNames: ['po'],
    categories: ['all'],
    hasStatus: true,
    countsGenerations: true,
    selectableFields: [
      'spec.nodeName',
      'spec.restartPolicy',
      'spec.serviceAccountName',
      'status.phase',
      'status.podIP',
    ],
    columns: columns.podColumns,
    merge: merge.podMerge,
    setDefaults: defaultPod,
    validate: validatePod,
    gracePeriod: podGracePeriod,
  }),
  define('', {
    kind: 'Node',
    resource: 'nodes',
    namespaced: false,
    shortNames: ['no'],
    hasStatus: true,
    selectableFields: ['spec.unschedulable'],
    columns: columns.nodeColumns,
    merge: merge.nodeMerge,
    setDefaults: defaultNode,
  }),
  define('', {
    kind: 'Endpoints',
    resource: 'endpoints',
    shortNames: ['ep'],
    columns: columns.endpointsColumns,
  }),
  define('', { kind: 'ConfigMap', resource: 'configmaps', shortNames: ['cm'], columns: columns.configMapColumns }),
  define('', {
    kind: 'Secret',
    resource: 'secrets',
    selectableFields: ['type'],
    columns: columns.secretColumns,
    setDefaults: defaultSecret,
    validate: validateSecret,
  }),
  define('', { kind: 'ServiceAccount', resource: 'serviceaccounts', shortNames: ['sa'] }),
  // Nobody writes any here; kubectl describe asks for them.
  define('', {
    kind: 'Event',
    resource: 'events',
    shortNames: ['ev'],
    selectableFields: ['kind', 'namespace', 'name', 'uid'].map((field) => `involvedObject.${field}`),
  }),
  workload({
    kind: 'Deployment',
    resource: 'deployments',
    shortNames: ['deploy'],
    columns: columns.deploymentColumns,
    setDefaults: defaultDeployment,
  }),
  workload({
    kind: 'ReplicaSet',
    resource: 'replicasets',
    shortNames: ['rs'],
    selectableFields: ['status.replicas'],
    columns: columns.replicaSetColumns,
    setDefaults: defaultReplicaSet,
  }),
  define('discovery.k8s.io', {
    kind: 'EndpointSlice',
    resource: 'endpointslices',
    countsGenerations: true,
    columns: columns.endpointSliceColumns,
  }),
  define('coordination.k8s.io', { kind: 'Lease', resource: 'leases', columns: columns.leaseColumns }),
];

function defaultNamespace(draft: KubeObject, old: KubeObject | undefined): void {
  draft.metadata.labels = { ...draft.metadata.labels, 'kubernetes.io/metadata.name': draft.metadata.name };
  // The namespace controller takes this away when the namespace is empty.
  if (!old) draft['spec'] = { finalizers: ['kubernetes'] };
  draft['spec'] ??= {};
  draft['status'] ??= { phase: 'Active' };
}

function defaultNode(draft: KubeObject): void {
  const node = draft as Node;
  node.spec ??= {};
  node.status ??= {};
  const { podCIDR = node.spec.podCIDRs?.[0] } = node.spec;
  if (podCIDR) Object.assign(node.spec, { podCIDR, podCIDRs: node.spec.podCIDRs ?? [podCIDR] });
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

function validateSecret(object: KubeObject, old: KubeObject | undefined): Cause[] {
  return old && old['type'] !== object['type'] ? [invalidValue('type', object['type'], 'field is immutable')] : [];
}
