/** Everything that is not about stored objects: health, version, discovery. */
import { noSuchPath } from '../api-error.ts';
import { coreVersions, groupList, openApiV2, resourceList } from '../discovery.ts';
import type { JsonObject } from '../objects.ts';
import type { Registry } from '../resource.ts';

/** `undefined` when the path may be one of a resource. */
export function answerSidePath(path: string, registry: Registry) {
  const [, root, version] = /^\/(api(?=\/[^/]+$|$)|apis(?=\/[^/]+\/[^/]+$|$))\/?(.*)$/.exec(path) ?? [];
  if (root !== undefined && version) return json(resourceList(registry, version));
  if (root !== undefined) return json(root === 'api' ? coreVersions : groupList(registry));
  switch (path) {
    case '/readyz':
      return { body: 'ok', type: 'text/plain; charset=utf-8' };
    case '/version':
      return json(versionInfo);
    case '/openapi/v2':
      // Older clients ask for it with an @, which Go's own parser of media types refuses in an answer.
      return { body: openApiV2(registry), type: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf' };
    default:
      return undefined;
  }
}

function json(value: JsonObject | undefined) {
  if (!value) throw noSuchPath();
  return { body: JSON.stringify(value), type: 'application/json' };
}

/** What kubectl prints as the server's version; near enough to both an old and a current client. */
const versionInfo = { major: '1', minor: '32', gitVersion: 'v1.32.0-small', platform: 'linux/amd64' };
