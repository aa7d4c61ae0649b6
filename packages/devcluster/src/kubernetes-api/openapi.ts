/**
 * OpenAPI documents without schemas. They say just enough for kubectl: version 2 is empty, which makes an old kubectl
 * skip its client-side validation; version 3 says that PATCH takes `fieldValidation`, which makes a newer one leave
 * validation to the server. Strategic merge is not listed, so that kubectl uses the merge keys it was built with.
 */
import type { JsonObject } from './objects.ts';
import type { Registry, ResourceDefinition } from './resource.ts';

const INFO = { title: 'Tombolo development API server', version: 'v1' };

export const openApiV2: JsonObject = { swagger: '2.0', info: INFO, paths: {}, definitions: {} };

/** The same as a protobuf message: swagger = field 1, info = field 2 with title = 1 and version = 2. */
export function openApiV2Protobuf(): Buffer {
  const info = Buffer.concat([textField(1, INFO.title), textField(2, INFO.version)]);
  return Buffer.concat([textField(1, '2.0'), bytesField(2, info)]);
}

const textField = (number: number, text: string) => bytesField(number, Buffer.from(text));
/** Lengths here are below 128: one byte. */
const bytesField = (number: number, bytes: Buffer) =>
  Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes]);

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

function urlOf({ group, version, resource, namespaced }: ResourceDefinition): string {
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
