/**
 * What may stand between a program and its API server: plain HTTP towards us, TLS towards it. It fails requests by rule,
 * delays them, cuts watches, goes silent without closing anything, and counts what it is asked.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Asked {
  readonly path: string;
  /** `proof`: one object, to learn how far the server has come. `election`: anything about Leases. */
  readonly kind: 'list' | 'proof' | 'watch' | 'election';
  /** As `performance.now()`. */
  readonly at: number;
}

export type Fault =
  | { readonly kind: 'answer'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'silence' };

export interface Upstream {
  readonly server: string;
  readonly ca: Buffer;
  /** Who we are there, whoever asks. */
  readonly cert: Buffer;
  readonly key: Buffer;
}

export class FaultProxy {
  /** Asked for each request; undefined lets it pass. */
  fault: (asked: Asked) => Fault | undefined = () => undefined;
  /** Has the API server end each new watch after so long. */
  watchSeconds: number | undefined;
  /** Since it was last emptied. */
  readonly asked: Asked[] = [];
  readonly #upstream: Upstream;
  readonly #agent: Agent;
  readonly #server: Server;
  readonly #watches = new Set<{ readonly answer: IncomingMessage; readonly response: ServerResponse }>();

  private constructor(upstream: Upstream) {
    this.#upstream = upstream;
    this.#agent = new Agent({ ca: upstream.ca, cert: upstream.cert, key: upstream.key });
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  static async start(upstream: Upstream): Promise<FaultProxy> {
    const proxy = new FaultProxy(upstream);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get watches(): number {
    return this.#watches.size;
  }

  /** As a proxy that is restarted. */
  cutWatches(): void {
    for (const { response } of this.#watches) response.destroy();
  }

  /** As a firewall that has forgotten them: nothing more comes through, and nobody is told. */
  silenceWatches(): void {
    for (const { answer, response } of this.#watches) {
      answer.unpipe(response);
      answer.resume();
    }
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
    this.#agent.destroy();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = askedBy(request.url ?? '');
    this.asked.push(asked);
    const fault = this.fault(asked);
    switch (fault?.kind) {
      case 'silence':
        return;
      case 'answer':
        response.writeHead(fault.status, { 'content-type': 'text/plain', ...fault.headers }).end('as the rule says');
        return;
      case 'delay':
        await sleep(fault.ms);
    }
    this.#forward(request, response, asked);
  }

  #forward(request: IncomingMessage, response: ServerResponse, asked: Asked): void {
    const { accept, 'content-type': type, 'content-length': length } = request.headers;
    const headers = { accept, ...(type && { 'content-type': type }), ...(length && { 'content-length': length }) };
    const url = new URL(request.url ?? '', this.#upstream.server);
    if (asked.kind === 'watch' && this.watchSeconds !== undefined)
      url.searchParams.set('timeoutSeconds', `${this.watchSeconds}`);
    const upstream = httpsRequest(url, { agent: this.#agent, method: request.method, headers });
    const breakOff = () => response.destroy();
    upstream.once('error', breakOff);
    upstream.once('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers).flushHeaders();
      answer.once('error', breakOff).pipe(response);
      if (asked.kind !== 'watch') return;
      const watch = { answer, response };
      this.#watches.add(watch);
      response.once('close', () => this.#watches.delete(watch));
    });
    response.once('close', () => upstream.destroy());
    request.pipe(upstream);
  }
}

function askedBy(url: string): Asked {
  const { pathname, searchParams } = new URL(url, 'http://proxy');
  return { path: pathname, kind: kindOf(pathname, searchParams), at: performance.now() };
}

function kindOf(path: string, query: URLSearchParams): Asked['kind'] {
  if (path.startsWith('/apis/coordination.k8s.io/')) return 'election';
  if (query.get('watch') === 'true') return 'watch';
  return query.get('limit') === '1' ? 'proof' : 'list';
}
