/** Everything that is not about stored objects: health, version, discovery, OpenAPI, reviews of access, compaction. */
import { noSuchPath } from '../api-error.ts';
import * as discovery from '../discovery.ts';
import type { JsonObject } from '../objects.ts';
import { openApiV2, openApiV2Protobuf } from '../openapi-v2.ts';
import { openApiV3, openApiV3Index } from '../openapi-v3.ts';
import type { Operations } from '../operations.ts';

export interface SideAnswer {
  readonly body: string | Buffer;
  readonly type: string;
}

export interface SideRequest {
  readonly method: string;
  readonly path: string;
  readonly accept: string;
  /** As the client named this server. */
  readonly host: string;
}

const json = (value: JsonObject, type = 'application/json'): SideAnswer => ({ body: JSON.stringify(value), type });

function jsonOrNotFound(value: JsonObject | undefined): SideAnswer {
  if (!value) throw noSuchPath();
  return json(value);
}

/** `undefined` when the path may be one of a resource. */
export function answerSidePath(request: SideRequest, { registry, store }: Operations): SideAnswer | undefined {
  const [root = '', group, version, resource, ...rest] = request.path.split('/').slice(1);
  switch (root) {
    case '':
      return json({
        paths: ['/api', '/apis', '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'],
      });
    case 'healthz':
    case 'livez':
    case 'readyz':
      return { body: 'ok', type: 'text/plain; charset=utf-8' };
    case 'version':
      return json(versionInfo);
    case 'api':
      if (group === undefined)
        return discover(
          request.accept,
          () => discovery.coreVersions(request.host),
          (v) => discovery.aggregated(registry, v, ['']),
        );
      return group === 'v1' && version === undefined
        ? jsonOrNotFound(discovery.resourceList(registry, '', 'v1'))
        : undefined;
    case 'apis': {
      const named = registry.groups.filter((name) => name !== '');
      if (group === undefined)
        return discover(
          request.accept,
          () => discovery.groupList(registry),
          (v) => discovery.aggregated(registry, v, named),
        );
      if (group === REVIEWS) return review(request, version, resource ?? rest.at(-1));
      if (version === undefined) return jsonOrNotFound(discovery.oneGroup(registry, group));
      return resource === undefined ? jsonOrNotFound(discovery.resourceList(registry, group, version)) : undefined;
    }
    case 'openapi':
      return openApi(request, registry);
    case 'debug':
      if (group !== 'compact' || request.method !== 'POST') throw noSuchPath();
      store.compact();
      return json({ compactedRevision: store.compactedRevision });
    default:
      return undefined;
  }
}

function discover(accept: string, legacy: () => JsonObject, aggregated: (version: string) => JsonObject): SideAnswer {
  const version = /v=(v2beta1|v2);as=APIGroupDiscoveryList/.exec(accept)?.[1];
  if (version === undefined) return json(legacy());
  return json(aggregated(version), `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`);
}

function openApi({ path, accept }: SideRequest, registry: Operations['registry']): SideAnswer {
  if (path === '/openapi/v3') return json(openApiV3Index(registry));
  if (path !== '/openapi/v2') return jsonOrNotFound(openApiV3(registry, path.slice('/openapi/v3/'.length)));
  if (!accept.includes('application/com.github.proto-openapi.spec.v2')) return json(openApiV2(registry));
  // Older clients ask for it with an @, which Go's own parser of media types refuses in an answer.
  return { body: openApiV2Protobuf(registry), type: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf' };
}

/** What kubectl prints as the server's version; near enough to both an old and a current client. */
const versionInfo: JsonObject = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.0-tombolo-dev',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: 'node',
  platform: 'linux/amd64',
};

const REVIEWS = 'authorization.k8s.io';

/** SelfSubjectAccessReview and its relatives: this server never denies, so what was asked does not matter. */
function review({ method }: SideRequest, version: string | undefined, resource: string | undefined): SideAnswer {
  const kinds = ['SelfSubjectAccessReview', 'SubjectAccessReview', 'LocalSubjectAccessReview'];
  const kind = kinds.find((name) => `${name.toLowerCase()}s` === resource);
  if (kind === undefined || method !== 'POST') throw noSuchPath();
  const status = { allowed: true, reason: 'this development server does not check access' };
  return json({ kind, apiVersion: `${REVIEWS}/${version}`, metadata: {}, spec: {}, status });
}
