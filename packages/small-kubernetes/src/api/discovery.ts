/** What the server serves, told in the legacy discovery documents and in the aggregated one of newer clients. */
import type { JsonObject } from './objects.ts';
import type { Registry, ResourceDefinition } from './resource.ts';

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const SUBRESOURCE_VERBS = ['get', 'patch', 'update'];

export const coreVersions = (address: string): JsonObject => ({
  kind: 'APIVersions',
  versions: ['v1'],
  serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
});

export const groupList = (registry: Registry): JsonObject => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: registry.groups.filter((group) => group !== '').map((group) => groupOf(registry, group)),
});

/** `undefined` for a group that is not served. */
export function oneGroup(registry: Registry, group: string): JsonObject | undefined {
  if (group === '' || !registry.groups.includes(group)) return undefined;
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(registry, group) };
}

function groupOf(registry: Registry, name: string) {
  const versions = registry.versions(name).map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions, preferredVersion: versions[0] };
}

export function resourceList(registry: Registry, group: string, version: string): JsonObject | undefined {
  const definitions = registry.inVersion(group, version);
  if (definitions.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: definitions.flatMap(legacyResources),
  };
}

function legacyResources(definition: ResourceDefinition): JsonObject[] {
  const { resource, singular, kind, namespaced, shortNames, categories, hasStatus, scale } = definition;
  const sub = { singularName: '', namespaced, verbs: SUBRESOURCE_VERBS };
  return [
    { name: resource, singularName: singular, namespaced, kind, verbs: VERBS, shortNames, categories },
    ...(hasStatus ? [{ name: `${resource}/status`, kind, ...sub }] : []),
    ...(scale ? [{ name: `${resource}/scale`, kind: 'Scale', group: 'autoscaling', version: 'v1', ...sub }] : []),
  ];
}

/** `/api` or `/apis` in the form `APIGroupDiscoveryList`. */
export function aggregated(registry: Registry, version: string, groups: readonly string[]): JsonObject {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map((group) => ({
      metadata: group === '' ? {} : { name: group },
      versions: registry.versions(group).map((served) => ({
        version: served,
        freshness: 'Current',
        resources: registry.inVersion(group, served).map(aggregatedResource),
      })),
    })),
  };
}

function aggregatedResource({ group, version, ...definition }: ResourceDefinition): JsonObject {
  const { resource, singular, kind, namespaced, shortNames, categories, hasStatus, scale } = definition;
  const subresource = (name: string, responseKind: JsonObject) => ({
    subresource: name,
    responseKind,
    verbs: SUBRESOURCE_VERBS,
  });
  return {
    resource,
    responseKind: { group, version, kind },
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs: VERBS,
    shortNames,
    categories,
    subresources: [
      ...(hasStatus ? [subresource('status', { group, version, kind })] : []),
      ...(scale ? [subresource('scale', { group: 'autoscaling', version: 'v1', kind: 'Scale' })] : []),
    ],
  };
}
