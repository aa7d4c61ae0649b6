/** The HTTP side of the API server: sockets, and errors as Status objects. Owns the open watches and ends them. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ListenOptions } from 'node:net';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { ApiError, noSuchPath } from '../api-error.ts';
import type { Operations } from '../operations.ts';
import { parseResourcePath } from './request.ts';
import { ResourceHandler } from './resource-handler.ts';
import { answerSidePath } from './side-paths.ts';
import type { Watch } from './watch.ts';

export class ApiServer {
  readonly #operations: Operations;
  readonly #log: Logger;
  readonly #handler: ResourceHandler;
  readonly #watches = new Set<Watch>();
  readonly #servers: Server[] = [];
  readonly #bookmarks: NodeJS.Timeout;

  constructor(operations: Operations, log: Logger, bookmarkIntervalMs: number) {
    this.#operations = operations;
    this.#log = log;
    this.#handler = new ResourceHandler(operations, (watch, response) => {
      if (response.writableEnded) return;
      this.#watches.add(watch);
      response.once('close', () => this.#watches.delete(watch));
    });
    this.#bookmarks = setInterval(() => {
      for (const watch of this.#watches) watch.bookmark();
    }, bookmarkIntervalMs).unref();
  }

  /** Answers with where it really listens. */
  async listen(address: ListenOptions): Promise<ReturnType<Server['address']>> {
    const server = createServer((request, response) => void this.#serve(request, response));
    // Watches have no end; Node's own limits are for requests that do.
    Object.assign(server, { requestTimeout: 0, keepAliveTimeout: 75_000 });
    server.listen(address);
    await once(server, 'listening').catch((cause: Error) => {
      const where = address.path ?? `${address.host}:${address.port}`;
      throw new Error(`Cannot serve the Kubernetes API on ${where}: ${cause.message}`, { cause });
    });
    this.#servers.push(server);
    return server.address();
  }

  async close(): Promise<void> {
    clearInterval(this.#bookmarks);
    for (const watch of this.#watches) watch.end();
    const closed = this.#servers.map(async (server) => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    });
    await Promise.all(closed);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? '/', `http://${request.headers.host ?? 'localhost'}`);
      const path = url.pathname.replace(/\/$/, '');
      const side = answerSidePath(path, this.#operations.registry);
      if (side) return send(response, 200, side.body, side.type);
      const resource = parseResourcePath(path);
      if (!resource) throw noSuchPath();
      const answer = await this.#handler.handle(request, response, resource, url.searchParams);
      if (answer) send(response, answer.code, JSON.stringify(answer.body));
    } catch (error) {
      if (!(error instanceof ApiError)) this.#log.error({ error, url: request.url }, 'Request failed');
      if (response.headersSent) return void response.destroy();
      const refusal = error instanceof ApiError ? error : new ApiError(500, 'InternalError', String(error));
      send(response, refusal.code, JSON.stringify(refusal.toStatus()));
    }
  }
}

function send(response: ServerResponse, code: number, content: string | Buffer, type = 'application/json'): void {
  const body = Buffer.from(content);
  const headers = { 'content-type': type, 'content-length': body.length, 'cache-control': 'no-cache, private' };
  response.writeHead(code, headers).end(body);
}
