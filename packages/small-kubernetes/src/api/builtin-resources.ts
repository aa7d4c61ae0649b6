/** The kinds that are served from the start. */
import { defaultCustomResource, validateCustomResource } from './kinds/custom-resource.ts';
import { asBetaEndpointSlice } from './kinds/endpoint-slice.ts';
import { defaultPod, podGracePeriod, validatePod } from './kinds/pod.ts';
import { defaultService, validateService } from './kinds/service.ts';
import { allocateService } from './kinds/service-allocation.ts';
import { defaultNamespace, defaultNode, defaultSecret, defaultServiceAccount, validateSecret } from './kinds/simple.ts';
import { defaultDeployment, defaultReplicaSet, defaultStatefulSet, validateWorkload } from './kinds/workload.ts';
import {
  namespaceMerge,
  nodeMerge,
  plainMerge,
  podMerge,
  serviceAccountMerge,
  serviceMerge,
  workloadMerge,
} from './patch/merge-keys.ts';
import { defaultColumns } from './print/columns.ts';
import * as core from './print/core-columns.ts';
import * as other from './print/other-columns.ts';
import type { ResourceDefinition } from './resource.ts';

type Given = Partial<ResourceDefinition> & Pick<ResourceDefinition, 'kind' | 'resource'>;

const define = (group: string, version: string, given: Given): ResourceDefinition => ({
  group,
  version,
  singular: given.kind.toLowerCase(),
  namespaced: true,
  shortNames: [],
  categories: [],
  hasStatus: false,
  countsGenerations: false,
  selectableFields: [],
  columns: defaultColumns,
  merge: plainMerge,
  ...given,
});

const scale = { replicas: 'spec.replicas', statusReplicas: 'status.replicas', selector: 'spec.selector' };

const workload = (given: Given): ResourceDefinition =>
  define('apps', 'v1', {
    categories: ['all'],
    hasStatus: true,
    scale,
    countsGenerations: true,
    merge: workloadMerge,
    validate: validateWorkload,
    ...given,
  });

const EVENT_FIELDS = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];

const endpointSlice: Given = {
  kind: 'EndpointSlice',
  resource: 'endpointslices',
  countsGenerations: true,
  columns: other.endpointSliceColumns,
};

export const builtinResources: readonly ResourceDefinition[] = [
  define('', 'v1', {
    kind: 'Namespace',
    resource: 'namespaces',
    namespaced: false,
    shortNames: ['ns'],
    hasStatus: true,
    selectableFields: ['status.phase'],
    columns: core.namespaceColumns,
    merge: namespaceMerge,
    setDefaults: defaultNamespace,
  }),
  define('', 'v1', {
    kind: 'Service',
    resource: 'services',
    shortNames: ['svc'],
    categories: ['all'],
    hasStatus: true,
    selectableFields: ['spec.clusterIP', 'spec.type'],
    columns: core.serviceColumns,
    merge: serviceMerge,
    setDefaults: defaultService,
    validate: validateService,
    allocate: allocateService,
  }),
  define('', 'v1', {
    kind: 'Pod',
    resource: 'pods',
    shortNames: ['po'],
    categories: ['all'],
    hasStatus: true,
    selectableFields: [
      'spec.nodeName',
      'spec.restartPolicy',
      'spec.schedulerName',
      'spec.serviceAccountName',
      'spec.hostNetwork',
      'status.phase',
      'status.podIP',
      'status.nominatedNodeName',
    ],
    columns: core.podColumns,
    merge: podMerge,
    setDefaults: defaultPod,
    validate: validatePod,
    gracePeriod: podGracePeriod,
  }),
  define('', 'v1', {
    kind: 'Node',
    resource: 'nodes',
    namespaced: false,
    shortNames: ['no'],
    hasStatus: true,
    selectableFields: ['spec.unschedulable'],
    columns: core.nodeColumns,
    merge: nodeMerge,
    setDefaults: defaultNode,
  }),
  define('', 'v1', { kind: 'Endpoints', resource: 'endpoints', shortNames: ['ep'], columns: core.endpointsColumns }),
  define('', 'v1', { kind: 'ConfigMap', resource: 'configmaps', shortNames: ['cm'], columns: core.configMapColumns }),
  define('', 'v1', {
    kind: 'Secret',
    resource: 'secrets',
    selectableFields: ['type'],
    columns: core.secretColumns,
    setDefaults: defaultSecret,
    validate: validateSecret,
  }),
  define('', 'v1', {
    kind: 'ServiceAccount',
    resource: 'serviceaccounts',
    shortNames: ['sa'],
    columns: core.serviceAccountColumns,
    merge: serviceAccountMerge,
    setDefaults: defaultServiceAccount,
  }),
  define('', 'v1', {
    kind: 'Event',
    resource: 'events',
    shortNames: ['ev'],
    selectableFields: [
      ...EVENT_FIELDS.map((field) => `involvedObject.${field}`),
      'reason',
      'type',
      'reportingComponent',
    ],
    columns: core.eventColumns,
  }),
  workload({
    kind: 'Deployment',
    resource: 'deployments',
    shortNames: ['deploy'],
    columns: other.deploymentColumns,
    setDefaults: defaultDeployment,
  }),
  workload({
    kind: 'ReplicaSet',
    resource: 'replicasets',
    shortNames: ['rs'],
    selectableFields: ['status.replicas'],
    columns: other.replicaSetColumns,
    setDefaults: defaultReplicaSet,
  }),
  workload({
    kind: 'StatefulSet',
    resource: 'statefulsets',
    shortNames: ['sts'],
    columns: other.statefulSetColumns,
    setDefaults: defaultStatefulSet,
  }),
  define('discovery.k8s.io', 'v1', endpointSlice),
  // For kubectl describe of old clients.
  define('discovery.k8s.io', 'v1beta1', { ...endpointSlice, present: asBetaEndpointSlice }),
  define('coordination.k8s.io', 'v1', { kind: 'Lease', resource: 'leases', columns: other.leaseColumns }),
  define('apiextensions.k8s.io', 'v1', {
    kind: 'CustomResourceDefinition',
    resource: 'customresourcedefinitions',
    namespaced: false,
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    hasStatus: true,
    countsGenerations: true,
    columns: other.crdColumns,
    setDefaults: defaultCustomResource,
    validate: validateCustomResource,
  }),
];
