/**
 * A small Kubernetes client, for the kubelets and for those who start a mesh. Over the API's unix socket it works from
 * any network namespace, and when all links are cut. Tombolo's own programs use `shared/kubernetes` over the network.
 */
import { readFileSync } from 'node:fs';
import { Agent, type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TlsFiles } from './kubeconfig.ts';
import { isReady, type KubernetesObject, type Manifest, type Node } from './objects.ts';
import { collectionPath, type ObjectAddress, objectPath } from './resource-path.ts';

export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface Follower<T> {
  changed(object: T): void;
  removed(object: T): void;
  /** A complete listing was handed over; `present` are the uids in it, all else is gone. */
  listed?(present: ReadonlySet<string>): unknown;
}

interface Listing<T> {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly T[];
}

interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

const RETRY_MS = 100;

/** How an API server is reached: through a unix socket, or at its address from where that can be reached. */
export type ApiAccess = ({ readonly socket: string } | { readonly host: string; readonly port: number }) & {
  /** Absent for plain HTTP. */
  readonly tls?: TlsFiles | undefined;
};

export interface ClientOptions {
  /** Keeps its connection between requests. Not for those who outlive the API server: what is kept may be stale. */
  readonly keepAlive?: boolean;
}

export class KubernetesClient {
  readonly #request: (options: RequestOptions) => ClientRequest;
  readonly #agent: Agent | false;

  constructor(access: ApiAccess, { keepAlive = false }: ClientOptions = {}) {
    const { tls } = access;
    this.#agent = keepAlive && (tls ? new TlsAgent({ keepAlive }) : new Agent({ keepAlive }));
    const place = 'socket' in access ? { socketPath: access.socket } : { host: access.host, port: access.port };
    const common = { ...place, agent: this.#agent };
    let identity: object | undefined; // Of a cluster that is still to start there are no files yet.
    this.#request = (options) => {
      if (tls === undefined) return request({ ...options, ...common });
      identity ??= { ...readTls(tls), servername: 'localhost' };
      return tlsRequest({ ...options, ...common, ...identity });
    };
  }

  /** Lets go of the connections that were kept. */
  close(): void {
    if (this.#agent) this.#agent.destroy();
  }

  async get<T>(path: string): Promise<T> {
    return (await this.request('GET', path)) as T;
  }

  /** For what is not JSON, such as `/readyz`. */
  async getText(path: string): Promise<string> {
    const response = await this.#send('GET', path);
    if ((response.statusCode ?? 500) >= 300) throw await errorOf(response, `GET ${path}`);
    return textOf(response);
  }

  /** Undefined when there is no such object. */
  async find<T extends KubernetesObject>(address: ObjectAddress): Promise<T | undefined> {
    return this.get<T>(objectPath(address)).catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    });
  }

  async create<T extends KubernetesObject>(manifest: Manifest): Promise<T> {
    return (await this.request('POST', collectionPath(manifest), manifest)) as T;
  }

  /** A JSON merge patch. `subresource` such as 'status'. */
  async patch<T extends KubernetesObject>(address: ObjectAddress, change: object, subresource = ''): Promise<T> {
    const path = subresource === '' ? objectPath(address) : `${objectPath(address)}/${subresource}`;
    return (await this.request('PATCH', path, change, 'application/merge-patch+json')) as T;
  }

  /** Creates the object, or merges the manifest into the one that is there. */
  async apply<T extends KubernetesObject>(manifest: Manifest): Promise<T> {
    try {
      return await this.create<T>(manifest);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
      return this.patch<T>(manifest, manifest);
    }
  }

  /** No error when it is gone already. */
  async remove(address: ObjectAddress, options: { gracePeriodSeconds?: number; uid?: string } = {}): Promise<void> {
    const { gracePeriodSeconds, uid } = options;
    const body = {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
      ...(uid !== undefined && { preconditions: { uid } }),
    };
    await this.request('DELETE', objectPath(address), body).catch((error: unknown) => {
      if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 409)) throw error;
    });
  }

  /** Lists and watches until `signal` aborts; lists anew after every fault, however long that takes. */
  async follow<T extends KubernetesObject>(path: string, follower: Follower<T>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const { metadata, items } = await this.get<Listing<T>>(path);
        for (const item of items) follower.changed(item);
        follower.listed?.(new Set(items.map((item) => item.metadata.uid)));
        await this.#watch(path, metadata.resourceVersion, follower, signal);
      } catch {
        await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  /** Resolves with the object (undefined while there is none) as soon as `holds` is true of it. */
  async waitFor<T extends KubernetesObject>(
    address: ObjectAddress,
    holds: (object: T | undefined) => boolean,
    timeoutMs = 60_000,
  ): Promise<T | undefined> {
    const done = new AbortController();
    const timer = setTimeout(() => done.abort(), timeoutMs);
    let latest: T | undefined;
    let held = false;
    const see = (object: T | undefined): void => {
      if (held) return;
      latest = object;
      held = holds(object);
      if (held) done.abort();
    };
    const follower = {
      changed: see,
      removed: () => see(undefined),
      listed: (present: ReadonlySet<string>) => present.size === 0 && see(undefined),
    };
    const { name } = address.metadata;
    await this.follow<T>(`${collectionPath(address)}?fieldSelector=metadata.name%3D${name}`, follower, done.signal);
    clearTimeout(timer);
    if (held) return latest;
    const state = JSON.stringify(latest);
    throw new Error(`Cannot go on: waited ${timeoutMs} ms for ${address.kind} ${name}: it is ${state} now`);
  }

  /** Ready, and free of the taints that keep pods away from a new node. */
  async nodesReady(names: readonly string[]): Promise<void> {
    const address = (name: string): ObjectAddress => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
    await Promise.all(
      names.map((name) => this.waitFor<Node>(address(name), (node) => node !== undefined && isUsable(node))),
    );
  }

  /** Returns when the stream ends and should be taken up again after a new listing. */
  async #watch<T extends KubernetesObject>(path: string, version: string, follower: Follower<T>, signal: AbortSignal) {
    const query = `watch=true&allowWatchBookmarks=true&resourceVersion=${version}`;
    const response = await this.#send('GET', `${path}${path.includes('?') ? '&' : '?'}${query}`, undefined, '', signal);
    if (response.statusCode !== 200) throw await errorOf(response, path);
    for await (const line of createInterface({ input: response })) {
      const event = JSON.parse(line) as WatchEvent<T>;
      if (event.type === 'ERROR') return;
      if (event.type === 'DELETED') follower.removed(event.object);
      else if (event.type !== 'BOOKMARK') follower.changed(event.object);
    }
  }

  /** For what has no method of its own. Resolves with the answer's object; rejects with an ApiError. */
  async request(method: string, path: string, body?: object, type = 'application/json'): Promise<unknown> {
    const response = await this.#send(method, path, body, type);
    if ((response.statusCode ?? 500) >= 300) throw await errorOf(response, `${method} ${path}`);
    return JSON.parse(await textOf(response));
  }

  #send(method: string, path: string, body?: object, type = '', signal?: AbortSignal): Promise<IncomingMessage> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const outgoing = this.#request({
        method,
        path,
        headers: {
          accept: 'application/json',
          // Node adds no length to the body of a DELETE.
          ...(payload !== undefined && { 'content-type': type, 'content-length': Buffer.byteLength(payload) }),
        },
        ...(signal && { signal }),
      });
      outgoing.once('response', resolve);
      outgoing.once('error', reject);
      outgoing.end(payload);
    });
  }
}

const isUsable = (node: Node): boolean => isReady(node) && (node.spec.taints ?? []).length === 0;

const readTls = ({ ca, cert, key }: TlsFiles) => ({
  ca: readFileSync(ca),
  cert: readFileSync(cert),
  key: readFileSync(key),
});

async function errorOf(response: IncomingMessage, what: string): Promise<ApiError> {
  const text = await textOf(response);
  let message = text;
  try {
    message = (JSON.parse(text) as { message?: string }).message ?? text;
  } catch {
    // Not a Status object: the text itself is the best there is.
  }
  return new ApiError(response.statusCode ?? 500, `Cannot ${what}: ${message}`);
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += chunk;
  return text;
}
