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
  const onListenerError = (error: unknown) => log.error({ error }, 'Listener of the store failed');
  const store = new Store({ historySize, firstRevision: Date.now() - EPOCH, onListenerError });
  const addresses = new ServiceAddresses(serviceCidrs.map(cidr), () => store.list(tables.services));
  const operations = new Operations({ store, registry: new Registry(builtinResources), addresses });
  const stopControllers = options.controllers === false ? () => {} : startControllers(operations, log);
  const server = new ApiServer(operations, log, options.bookmarkIntervalMs ?? 60_000);
  const close = async () => {
    await server.close();
    stopControllers();
  };
  try {
    const url = await listenOn(server, listen);
    log.info({ url }, 'Kubernetes API serves');
    return { url, store, operations, close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Listen = KubernetesApiOptions['listen'];

async function listenOn(server: ApiServer, { host = '127.0.0.1', port, unixSocket }: Listen): Promise<string> {
  if (unixSocket !== undefined) await server.listen({ path: unixSocket });
  else if (port === undefined) throw new Error('Cannot serve the Kubernetes API: expected a port or a unix socket');
  if (port === undefined) return `unix:${unixSocket}`;
  await checkListenHost(host);
  const bound = (await server.listen({ host, port })) as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${bound.port}`;
}
