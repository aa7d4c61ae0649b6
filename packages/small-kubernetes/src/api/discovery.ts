/** What the server serves, as clients ask for it: the lists of groups, versions and resources, and OpenAPI. */
import type { JsonObject } from './objects.ts';
import { encodeMessage } from './protobuf/messages.ts';
import { apiVersionOf, type Registry, type ResourceDefinition, VERSION } from './resource.ts';

const VERBS = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];

export const coreVersions: JsonObject = { kind: 'APIVersions', versions: [VERSION] };

export function groupList({ all }: Registry): JsonObject {
  const names = new Set(all.map(({ group }) => group).filter((group) => group !== ''));
  const groups = [...names].map((name) => {
    const served = { groupVersion: apiVersionOf({ group: name }), version: VERSION };
    return { name, versions: [served], preferredVersion: served };
  });
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

/** `undefined` for a group that is not served. */
export function resourceList({ all }: Registry, groupVersion: string): JsonObject | undefined {
  const resources = all.filter((definition) => apiVersionOf(definition) === groupVersion).flatMap(resourcesOf);
  return resources.length === 0 ? undefined : { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
}

function resourcesOf({ resource, kind, namespaced, shortNames, categories, ...has }: ResourceDefinition): JsonObject[] {
  const sub = { singularName: '', namespaced, verbs: ['get', 'patch', 'update'] };
  return [
    { name: resource, singularName: kind.toLowerCase(), namespaced, kind, verbs: VERBS, shortNames, categories },
    ...(has.hasStatus ? [{ name: `${resource}/status`, kind, ...sub }] : []),
    ...(has.hasScale
      ? [{ name: `${resource}/scale`, kind: 'Scale', group: 'autoscaling', version: 'v1', ...sub }]
      : []),
  ];
}

/**
 * OpenAPI version 2 without schemas, for which kubectl of any age asks, too, when there is no version 3: PATCH takes
 * `fieldValidation` and `dryRun`, so that it leaves validation to the server and tries dry runs; and it uses the merge
 * keys that it was built with.
 */
export function openApiV2({ all }: Registry): Buffer {
  const parameters = ['dryRun', 'fieldValidation'].map((name) => ({
    parameter: { nonBodyParameter: { queryParameter: { name } } },
  }));
  const path = all.map(({ group, kind, resource }) => {
    const yaml = JSON.stringify({ group, version: VERSION, kind });
    const vendorExtension = [{ name: 'x-kubernetes-group-version-kind', value: { yaml } }];
    return { name: `/${group}/${resource}/{name}`, value: { patch: { parameters, vendorExtension } } };
  });
  const info = { title: 'Tombolo’s small Kubernetes', version: 'v1' };
  return encodeMessage('Document', { swagger: '2.0', info, paths: { path } });
}
