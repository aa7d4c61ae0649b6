/**
 * The HTTP side of the API server: sockets, and errors as Status objects. Owns the open watches and ends them when it
 * closes.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { ApiError, noSuchPath } from '../api-error.ts';
import type { Operations } from '../operations.ts';
import { parseResourcePath } from './request.ts';
import { ResourceHandler } from './resource-handler.ts';
import { answerSidePath } from './side-paths.ts';
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
    this.#handler = new ResourceHandler(operations, (watch, response) => this.#keep(watch, response));
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
      server.once('error', (cause) => {
        const where = 'path' in address ? address.path : `${address.host}:${address.port}`;
        reject(new Error(`Cannot serve the Kubernetes API on ${where}: ${cause.message}`, { cause }));
      });
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
      const { pathname, searchParams, host } = new URL(
        request.url ?? '/',
        `http://${request.headers.host ?? 'localhost'}`,
      );
      const path = pathname.replace(/\/$/, '');
      const { method = 'GET' } = request;
      const side = answerSidePath({ method, path, host }, this.#operations);
      if (side) return send(response, 200, side.body, side.type);
      const resource = parseResourcePath(path);
      if (!resource) throw noSuchPath();
      const answer = await this.#handler.handle(request, response, resource, searchParams);
      if (answer) send(response, answer.code, JSON.stringify(answer.body));
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
    send(response, refusal.code, JSON.stringify(refusal.toStatus()));
  }
}

function send(response: ServerResponse, code: number, content: string | Buffer, type = 'application/json'): void {
  const body = Buffer.from(content);
  response.writeHead(code, {
    'content-type': type,
    'content-length': body.length,
    'cache-control': 'no-cache, private',
  });
  response.end(body);
}
