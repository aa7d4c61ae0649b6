/**
 * OpenAPI version 3 without schemas: it says that PATCH takes `fieldValidation`, which makes a current kubectl leave
 * validation to the server. Strategic merge is not listed, so that kubectl uses the merge keys it was built with.
 */
import type { JsonObject } from './objects.ts';
import type { Registry, ResourceDefinition } from './resource.ts';

export const INFO = { title: 'Tombolo development API server', version: 'v1' };

export function openApiV3Index(registry: Registry): JsonObject {
  const versions = registry.groups.flatMap((group) =>
    registry.versions(group).map((version) => pathOf(group, version)),
  );
  return {
    paths: Object.fromEntries(versions.map((path) => [path, { serverRelativeURL: `/openapi/v3/${path}?hash=0` }])),
  };
}

export const pathOf = (group: string, version: string): string =>
  group === '' ? `api/${version}` : `apis/${group}/${version}`;

export function openApiV3(registry: Registry, path: string): JsonObject | undefined {
  const [root = '', ...rest] = path.split('/');
  const [group = '', version = ''] = root === 'api' ? ['', rest[0]] : rest;
  const definitions = registry.inVersion(group, version);
  if (definitions.length === 0) return undefined;
  return {
    openapi: '3.0.0',
    info: INFO,
    paths: Object.fromEntries(definitions.map((definition) => [urlOf(definition), operationsOf(definition)])),
    components: { schemas: {} },
  };
}

export function urlOf({ group, version, resource, namespaced }: ResourceDefinition): string {
  return `/${pathOf(group, version)}${namespaced ? '/namespaces/{namespace}' : ''}/${resource}/{name}`;
}

function operationsOf({ group, version, kind }: ResourceDefinition): JsonObject {
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
    name,
    in: 'query',
    schema: { type: 'string', uniqueItems: true },
  }));
  const operation = { 'x-kubernetes-group-version-kind': { group, version, kind }, parameters, responses: {} };
  return {
    get: { ...operation, 'x-kubernetes-action': 'get' },
    put: { ...operation, 'x-kubernetes-action': 'put' },
    patch: {
      ...operation,
      'x-kubernetes-action': 'patch',
      requestBody: { content: { 'application/json-patch+json': {}, 'application/merge-patch+json': {} } },
    },
  };
}
