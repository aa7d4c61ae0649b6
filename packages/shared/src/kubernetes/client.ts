/**
 * The connection to one Kubernetes API server. `@kubernetes/client-node` supplies what is hard to get right and rarely
 * changes: kubeconfig, contexts, certificates, tokens, exec plugins, proxies. Requests are made by `node:http` directly,
 * for two reasons that its Watch class has against it: it swallows what a callback throws and lines it cannot parse
 * (a lost event), and it passes each event through a web stream and a line reader before we see it.
 *
 * K1 Credentials are asked for anew on each request, so rotated tokens and certificates are taken up; what the library
 *    keeps of them is given up as soon as the server refuses it, or we its certificate.
 */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import { Agent as HttpAgent, request as httpRequest } from '../process/node-http.ts';
import { type ConnectOptions, loadConfig } from './credentials.ts';
import { readLines } from './lines.ts';

export interface KubernetesClient {
  /** The API server's address, for people. */
  readonly server: string;
  /** The text of the answer. Rejects with `ApiError` for a status other than 2xx, with another error when nobody answers. */
  get(path: string, signal: AbortSignal): Promise<string>;
  /** As `get`, with a body; that of a PATCH is a JSON merge patch. */
  send(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body: unknown, signal: AbortSignal): Promise<string>;
  /**
   * Resolves when the server ends the answer; rejects as `get` does, when the connection breaks, when nothing was heard
   * for `idleMs`, or with what the handler threw.
   */
  stream(path: string, handler: StreamHandler, signal: AbortSignal, idleMs: number): Promise<void>;
  /** Closes idle connections. Requests under way end by their signals. */
  close(): void;
}

export interface StreamHandler {
  /** The server has agreed; there may be nothing to say for a long time. */
  opened(): void;
  /** Called in the tick in which the last byte of a line arrives. */
  line(text: string): void;
}

export class ApiError extends Error {
  readonly status: number;
  /** For how long the server asks to be left alone; 0 when it does not. */
  readonly retryAfterMs: number;

  constructor(status: number, message: string, retryAfterMs = 0) {
    super(`API server answered ${status}: ${message}`);
    this.name = 'ApiError';
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Until the answer begins, and from each part of it to the next. */
const ANSWER_MS = 30_000;

/** Opens nothing yet: an API server that is down shows in the first request. Throws a sentence for a bad kubeconfig. */
export function connectKubernetes(source: ConnectOptions, answerMs = ANSWER_MS): KubernetesClient {
  let config = loadConfig(source);
  const server = config.getCurrentCluster()?.server ?? '';
  const base = new URL(server);
  const agentOptions = { keepAlive: true, keepAliveMsecs: 15_000 };
  const agent = base.protocol === 'http:' ? new HttpAgent(agentOptions) : new HttpsAgent(agentOptions);

  async function open(path: string, signal: AbortSignal, method = 'GET', body?: string): Promise<IncomingMessage> {
    // Node adds no length to the body of a DELETE.
    const about = body !== undefined && {
      'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const headers: OutgoingHttpHeaders = { accept: 'application/json', 'user-agent': 'tombolo', ...about };
    const options: RequestOptions = { method, headers, signal };
    await config.applyToHTTPSOptions(options);
    // The library's agent would pin the first certificate it saw; only its proxy agents are needed.
    if (config.getCurrentCluster()?.proxyUrl === undefined) options.agent = agent;
    const { Authorization: token } = headers;
    if (typeof token === 'string') headers['Authorization'] = token.trim();
    const url = new URL(base.pathname.replace(/\/$/, '') + path, base);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = (base.protocol === 'http:' ? httpRequest : httpsRequest)(url, options, resolve);
      request.on('error', reject);
      request.setTimeout(answerMs, () => request.destroy(new Error(`no answer within ${answerMs / 1000} s`)));
      request.end(body);
    });
    const { statusCode = 0 } = response;
    if (statusCode >= 200 && statusCode < 300) return response;
    throw new ApiError(statusCode, statusMessage(await text(response)), retryAfterMs(response.headers['retry-after']));
  }

  /** K1. The server's address stays that of the start. */
  async function opened(...request: Parameters<typeof open>): Promise<IncomingMessage> {
    try {
      return await open(...request);
    } catch (error) {
      if (isAboutCredentials(error)) config = reloaded(source) ?? config;
      throw error;
    }
  }

  return {
    server,
    get: async (path, signal) => text(await opened(path, signal)),
    send: async (method, path, body, signal) => text(await opened(path, signal, method, JSON.stringify(body))),
    stream: async (path, handler, signal, idleMs) => {
      const response = await opened(path, signal);
      response.setTimeout(0);
      handler.opened();
      await readLines(response, (line) => handler.line(line), idleMs);
    },
    close: () => agent.destroy(),
  };
}

/** Undefined when they cannot be read, as when somebody is just writing them. */
function reloaded(source: ConnectOptions): ReturnType<typeof loadConfig> | undefined {
  try {
    return loadConfig(source);
  } catch {
    return undefined;
  }
}

/** The server does not accept ours, or we do not accept the server's (OpenSSL's and Node's names for its reasons). */
function isAboutCredentials(error: unknown): boolean {
  if (error instanceof ApiError) return error.status === 401;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /CERT|UNABLE_TO|SSL|TLS/.test(code);
}

/** Seconds; dates are for caches, and no API server sends them. */
function retryAfterMs(header: string | undefined): number {
  return /^\d{1,6}$/.test(header ?? '') ? Number(header) * 1000 : 0;
}

/** API servers explain refusals in a Status object; proxies before them in anything. */
function statusMessage(body: string): string {
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    if (typeof message === 'string') return message;
  } catch {
    // Not JSON: the text itself will do.
  }
  return body.trim().slice(0, 200) || 'no explanation';
}
