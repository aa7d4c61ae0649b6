/**
 * The HTTP side of the API server: sockets, the few paths that are not resources, and errors as Status objects. Owns
 * the open watches and ends them when it closes.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { ApiError, noSuchPath } from '../api-error.ts';
import * as discovery from '../discovery.ts';
import * as openapi from '../openapi.ts';
import type { Operations } from '../operations.ts';
import { parseResourcePath } from './request.ts';
import { type Answer, ResourceHandler } from './resource-handler.ts';
import { reviewAccess, versionInfo } from './side-paths.ts';
import type { Watch } from './watch.ts';

export interface ApiServerOptions {
  readonly operations: Operations;
  readonly log: Logger;
  readonly bookmarkIntervalMs: number;
}

export class ApiServer {
  readonly #operations: Operations;
  readonly #log: Logger;
  readonly #handler: ResourceHandler;
  readonly #watches = new Set<Watch>();
  readonly #servers: Server[] = [];
  readonly #bookmarks: NodeJS.Timeout;

  constructor({ operations, log, bookmarkIntervalMs }: ApiServerOptions) {
    this.#operations = operations;
    this.#log = log;
    this.#handler = new ResourceHandler({ operations, onWatch: (watch, response) => this.#keep(watch, response) });
    this.#bookmarks = setInterval(() => {
      for (const watch of this.#watches) watch.bookmark();
    }, bookmarkIntervalMs).unref();
  }

  /** Answers with where it really listens. */
  async listen(address: { host: string; port: number } | { path: string }): Promise<ReturnType<Server['address']>> {
    const server = createServer((request, response) => void this.#serve(request, response));
    // Watches have no end; Node's own limits are for requests that do.
    Object.assign(server, { requestTimeout: 0, keepAliveTimeout: 75_000 });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, resolve);
    });
    this.#servers.push(server);
    return server.address();
  }

  async close(): Promise<void> {
    clearInterval(this.#bookmarks);
    for (const watch of this.#watches) watch.end();
    await Promise.all(
      this.#servers.map((server) => {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeAllConnections();
        return closed;
      }),
    );
  }

  #keep(watch: Watch, response: ServerResponse): void {
    if (response.writableEnded) return;
    this.#watches.add(watch);
    response.once('close', () => this.#watches.delete(watch));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? '/', 'http://localhost');
      const side = await this.#sidePath(request, url, response);
      if (side === 'answered') return;
      const path = parseResourcePath(url.pathname);
      if (!path) throw noSuchPath();
      const answer = await this.#handler.handle(request, response, path, url.searchParams);
      if (answer) send(response, answer);
    } catch (error) {
      this.#fail(request, response, error);
    }
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const known = error instanceof ApiError;
    if (!known) this.#log.error({ error, method: request.method, url: request.url }, 'Request failed');
    if (response.headersSent) return void response.destroy();
    const message = error instanceof Error ? error.message : String(error);
    const refusal = known ? error : new ApiError(500, 'InternalError', `Internal error occurred: ${message}`);
    send(response, { code: refusal.code, text: JSON.stringify(refusal.toStatus()) });
  }

  async #sidePath(
    request: IncomingMessage,
    { pathname, host }: URL,
    response: ServerResponse,
  ): Promise<'answered' | undefined> {
    const { registry, store } = this.#operations;
    const accept = request.headers.accept ?? '';
    const path = pathname.length > 1 ? pathname.replace(/\/$/, '') : pathname;
    const json = (value: object | undefined): 'answered' => {
      if (!value) throw noSuchPath();
      send(response, { code: 200, text: JSON.stringify(value) });
      return 'answered';
    };
    const [, root, group, version, more] = path.split('/');
    switch (root) {
      case 'healthz':
      case 'livez':
      case 'readyz':
        response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok');
        return 'answered';
      case 'version':
        return json(versionInfo);
      case 'api':
        if (group === undefined) return this.#discover(response, accept, [''], () => discovery.coreVersions(host));
        return group === 'v1' && version === undefined ? json(discovery.resourceList(registry, '', 'v1')) : undefined;
      case 'apis':
        if (group === undefined) {
          const groups = registry.groups.filter((name) => name !== '');
          return this.#discover(response, accept, groups, () => discovery.groupList(registry));
        }
        if (version === undefined) return json(discovery.oneGroup(registry, group));
        if (more === undefined) return json(discovery.resourceList(registry, group, version));
        return group === 'authorization.k8s.io' && request.method === 'POST'
          ? json(await reviewAccess(request))
          : undefined;
      case 'openapi':
        return this.#openApi(path, accept, response, json);
      case 'debug':
        if (group !== 'compact' || request.method !== 'POST') throw noSuchPath();
        store.compact();
        return json({ compactedRevision: store.compactedRevision });
      default:
        return undefined;
    }
  }

  #discover(response: ServerResponse, accept: string, groups: readonly string[], legacy: () => object): 'answered' {
    const version = /v=(v2beta1|v2);as=APIGroupDiscoveryList/.exec(accept)?.[1];
    if (version === undefined) {
      send(response, { code: 200, text: JSON.stringify(legacy()) });
      return 'answered';
    }
    const type = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
    send(
      response,
      { code: 200, text: JSON.stringify(discovery.aggregated(this.#operations.registry, version, groups)) },
      type,
    );
    return 'answered';
  }

  #openApi(
    path: string,
    accept: string,
    response: ServerResponse,
    json: (value: object | undefined) => 'answered',
  ): 'answered' {
    if (path === '/openapi/v3') return json(openapi.openApiV3Index(this.#operations.registry));
    if (path !== '/openapi/v2')
      return json(openapi.openApiV3(this.#operations.registry, path.slice('/openapi/v3/'.length)));
    if (!accept.includes('application/com.github.proto-openapi.spec.v2')) return json(openapi.openApiV2);
    // Older clients ask for it with an @, which Go's own parser of media types refuses in an answer.
    const type = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
    response.writeHead(200, { 'content-type': type }).end(openapi.openApiV2Protobuf());
    return 'answered';
  }
}

function send(response: ServerResponse, { code, text }: Answer, type = 'application/json'): void {
  const body = Buffer.from(text);
  response.writeHead(code, {
    'content-type': type,
    'content-length': body.length,
    'cache-control': 'no-cache, private',
  });
  response.end(body);
}
