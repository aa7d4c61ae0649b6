/**
 * Serving HTTP: `/healthz`, `/readyz` and `/metrics`, as Kubernetes probes and Prometheus ask for them, and anything. What
 * is not well is told to whoever reads the answer; a program that serves what it knows is ready all the same.
 */
import type { RequestListener, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import type { HealthTree } from './health.ts';
import { createServer } from './node-http.ts';

export interface HttpServer {
  readonly port: number;
  /** Ends connections, too. */
  close(): Promise<void>;
}

export interface HealthServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly health: HealthTree;
  /** Asked at each scrape. */
  readonly metrics: () => Promise<Registry>;
}

/** Rejects with a sentence that names the address when the port is taken. */
export function serveHealth({ host, port, health, metrics }: HealthServerOptions): Promise<HttpServer> {
  return serveHttp('health', { host, port }, (request, response) => {
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        return answer(response, 200, 'ok\n');
      case '/readyz':
        return health.ready
          ? answer(response, 200, ['Ready', ...health.complaints, ''].join('\n'))
          : answer(response, 503, [...waiting(health), ...health.failures, ''].join('\n'));
      case '/metrics':
        return void answerMetrics(response, metrics);
      default:
        return answer(response, 404, 'Expected /healthz, /readyz or /metrics\n');
    }
  });
}

async function answerMetrics(response: ServerResponse, metrics: () => Promise<Registry>): Promise<void> {
  try {
    const registry = await metrics();
    answer(response, 200, await registry.metrics(), registry.contentType);
  } catch (error) {
    answer(response, 500, `${error}\n`);
  }
}

/** `what` is for the sentence that says why it cannot be. Without a host: every address of both families. */
export async function serveHttp(
  what: string,
  { host, port }: { readonly host?: string; readonly port: number },
  listener: RequestListener,
): Promise<HttpServer> {
  const server = createServer(listener);
  await new Promise<void>((resolve, reject) => {
    // After the start errors are of single connections, and end those only.
    server.on('error', (cause) =>
      reject(new Error(`Cannot serve ${what} on ${host ?? '*'}:${port}: ${cause.message}`, { cause })),
    );
    server.listen({ port, ...(host !== undefined && { host }) }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const waiting = ({ waitingFor }: HealthTree): readonly string[] =>
  waitingFor.length > 0 ? [`Waiting for: ${waitingFor.join(', ')}`] : [];

function answer(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type }).end(text);
}
