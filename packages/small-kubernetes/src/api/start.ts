/**
 * A small Kubernetes API server in one process, with the controllers that a cluster cannot do without. A development
 * stand-in: objects live in memory, there is no TLS, no authentication and no admission, and it knows few kinds.
 * Nothing of the product may depend on it; what the product needs is the Kubernetes API, not this server.
 */
import type { AddressInfo } from 'node:net';
import { cidr } from '@tombolo/shared/model/ip.ts';
import { type Logger, silentLogger } from '@tombolo/shared/process/logger.ts';
import { startControllers } from '../controllers/start.ts';
import { builtinResources } from './builtin-resources.ts';
import { ApiServer } from './http/server.ts';
import { tables } from './kinds/typed.ts';
import { checkListenHost } from './listen-guard.ts';
import { Operations } from './operations.ts';
import { Registry } from './resource.ts';
import { ServiceAddresses } from './service-addresses.ts';
import { Store } from './store.ts';

export interface KubernetesApiOptions {
  /** At least one of the two. Port 0 takes any free port. */
  readonly listen: { readonly host?: string; readonly port?: number; readonly unixSocket?: string };
  /** At most one of each family; the first gives single-stack Services their family. */
  readonly serviceCidrs?: readonly string[];
  readonly clusterName?: string;
  /** How many changes a watch can go back. */
  readonly historySize?: number;
  readonly bookmarkIntervalMs?: number;
  /** False for tests of the API alone. */
  readonly controllers?: boolean;
  readonly log?: Logger;
}

export interface KubernetesApi {
  /** For kubectl's `--server`; for a unix socket alone `unix:PATH`. */
  readonly url: string;
  readonly store: Store;
  /** The way to read and write without HTTP. */
  readonly operations: Operations;
  close(): Promise<void>;
}

/** Revisions go on from the clock, so that a client of an earlier run finds its revision too old, not valid. */
const EPOCH = Date.UTC(2026, 0, 1);

export async function startKubernetesApi(options: KubernetesApiOptions): Promise<KubernetesApi> {
  const { listen, serviceCidrs = ['10.96.0.0/16'], historySize = 10_000, log = silentLogger } = options;
  const store = new Store({
    historySize,
    firstRevision: Date.now() - EPOCH,
    onListenerError: (error) => log.error({ error }, 'Listener of the store failed'),
  });
  const addresses = new ServiceAddresses(serviceCidrs.map(cidr));
  store.subscribe(tables.services, (change) => addresses.observe(change));
  const registry = new Registry(builtinResources);
  const operations = new Operations({ store, registry, addresses });
  const stopControllers = options.controllers === false ? () => {} : startControllers(operations, log);
  const server = new ApiServer({ operations, log, bookmarkIntervalMs: options.bookmarkIntervalMs ?? 60_000 });
  const close = async () => {
    await server.close();
    stopControllers();
  };
  try {
    const url = await listenOn(server, listen);
    log.info({ url, cluster: options.clusterName }, 'Kubernetes API serves');
    return { url, store, operations, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function listenOn(
  server: ApiServer,
  { host, port, unixSocket }: KubernetesApiOptions['listen'],
): Promise<string> {
  if (unixSocket !== undefined) await server.listen({ path: unixSocket });
  if (port === undefined) {
    if (unixSocket === undefined) throw new Error('Cannot serve the Kubernetes API: expected a port or a unix socket');
    return `unix:${unixSocket}`;
  }
  const name = host ?? '127.0.0.1';
  await checkListenHost(name);
  const bound = (await server.listen({ host: name, port })) as AddressInfo;
  return `http://${name.includes(':') ? `[${name}]` : name}:${bound.port}`;
}
