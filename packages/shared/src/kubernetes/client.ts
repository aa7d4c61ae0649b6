/**
 * The connection to one Kubernetes API server. `@kubernetes/client-node` supplies what is hard to get right and rarely
 * changes: kubeconfig, contexts, certificates, tokens, exec plugins, proxies. Requests are made by `node:http` directly,
 * for two reasons that its Watch class has against it: it swallows what a callback throws and lines it cannot parse
 * (a lost event), and it passes each event through a web stream and a line reader before we see it.
 * Credentials are asked for anew on each request, so rotated tokens and certificates are taken up.
 */
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import { KubeConfig } from '@kubernetes/client-node';
import { readLines } from './lines.ts';

export interface KubernetesClient {
  /** The API server's address, for people. */
  readonly server: string;
  /** The parsed answer. Rejects with `ApiError` for a status other than 2xx, with another error when nobody answers. */
  get(path: string, signal: AbortSignal): Promise<unknown>;
  /**
   * Calls `line` for each line of the answer, in the tick in which its last byte arrives. Resolves when the server
   * ends the answer; rejects as `get` does, when the connection breaks, when nothing was heard for `idleMs`, or with
   * what `line` threw.
   */
  stream(path: string, line: (text: string) => void, signal: AbortSignal, idleMs: number): Promise<void>;
  /** Closes idle connections. Requests under way end by their signals. */
  close(): void;
}

export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(`API server answered ${status}: ${message}`);
    this.name = 'ApiError';
    this.status = status;
  }
}

export interface ConnectOptions {
  /** Path of a kubeconfig file. Without it, the service account of the pod this process runs in. */
  readonly kubeconfig?: string | undefined;
  /** A context of that file. Without it, its current context. */
  readonly context?: string | undefined;
}

/** Opens nothing yet: an API server that is down shows in the first request. Throws a sentence for a bad kubeconfig. */
export function connectKubernetes({ kubeconfig, context }: ConnectOptions): KubernetesClient {
  const config = kubeconfig === undefined ? inClusterConfig() : fileConfig(kubeconfig, context);
  const server = config.getCurrentCluster()?.server ?? '';
  const base = new URL(server);
  const agentOptions = { keepAlive: true, keepAliveMsecs: 15_000 };
  const agent = base.protocol === 'http:' ? new HttpAgent(agentOptions) : new HttpsAgent(agentOptions);
  const proxied = config.getCurrentCluster()?.proxyUrl !== undefined;

  async function open(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const options: RequestOptions = { headers: { accept: 'application/json', 'user-agent': 'tombolo' }, signal };
    await config.applyToHTTPSOptions(options);
    // The library's agent would pin the first certificate it saw; only its proxy agents are needed.
    if (!proxied) options.agent = agent;
    const authorization = (options.headers as Record<string, unknown>)['Authorization'];
    if (typeof authorization === 'string')
      options.headers = { ...options.headers, Authorization: authorization.trim() };
    const url = new URL(base.pathname.replace(/\/$/, '') + path, base);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = (base.protocol === 'http:' ? httpRequest : httpsRequest)(url, options, resolve);
      request.on('error', reject);
      request.setTimeout(30_000, () => request.destroy(new Error('no answer within 30 s')));
      request.end();
    });
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    throw new ApiError(status, statusMessage(await text(response)));
  }

  return {
    server,
    get: async (path, signal) => JSON.parse(await text(await open(path, signal))),
    stream: async (path, line, signal, idleMs) => {
      const response = await open(path, signal);
      response.setTimeout(0);
      await readLines(response, line, idleMs);
    },
    close: () => agent.destroy(),
  };
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

function inClusterConfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromCluster();
  if (config.getCurrentCluster()?.server.includes('//undefined')) {
    throw new Error(
      'Cannot find the Kubernetes API: expected a kubeconfig, or to run in a pod of the cluster: current value is neither',
    );
  }
  return config;
}

function fileConfig(path: string, context: string | undefined): KubeConfig {
  const cannot = (expected: string, cause?: unknown) =>
    new Error(`Cannot use kubeconfig ${path}: ${expected}`, cause === undefined ? {} : { cause });
  const loaded = new KubeConfig();
  try {
    readFileSync(path);
    loaded.loadFromFile(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw cannot(cause instanceof TypeError ? 'expected a document with clusters, contexts and users' : reason, cause);
  }
  const name = context ?? loaded.getCurrentContext();
  const known = (loaded.getContexts() ?? []).map((each) => each.name);
  if (!known.includes(name)) {
    throw cannot(`expected a context among ${known.join(', ') || 'none'}: current value is ${name ?? 'absent'}`);
  }
  loaded.setCurrentContext(name);
  const cluster = loaded.getCurrentCluster();
  if (!cluster) throw cannot(`expected a cluster for context ${name}: current value is absent`);
  if (!/^https?:$/.test(URL.parse(cluster.server)?.protocol ?? '')) {
    throw cannot(`expected server to be an http or https URL: current value is ${JSON.stringify(cluster.server)}`);
  }
  const user = loaded.getCurrentUser() ?? { name: 'anonymous' };
  // The library asks for skipTLSVerify on plain http, where there is nothing to verify, and forgets the CA without user.
  const clear = cluster.server.startsWith('http:');
  const config = new KubeConfig();
  config.loadFromClusterAndUser(clear ? { ...cluster, skipTLSVerify: true } : cluster, user);
  return config;
}
