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
import { checkListenHost } from './listen-guard.ts';
import { Operations } from './operations.ts';
import { Registry } from './resource.ts';
import { Store } from './store.ts';

export interface KubernetesApiOptions {
  readonly host?: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** A unix socket to listen on, too. */
  readonly unix?: string;
  /** At most one of each family; the first gives single-stack Services their family. */
  readonly serviceCidr?: readonly string[];
  /** How many changes a watch can go back. */
  readonly historySize?: number;
  readonly bookmarkIntervalMs?: number;
  readonly log?: Logger;
}

export interface KubernetesApi {
  /** For kubectl's `--server`. */
  readonly url: string;
  readonly store: Store;
  /** The way to read and write without HTTP. */
  readonly operations: Operations;
  close(): Promise<void>;
}

/** Revisions go on from the clock, so that a client of an earlier run finds its revision too old, not valid. */
const EPOCH = Date.UTC(2026, 0, 1);

export async function startKubernetesApi(options: KubernetesApiOptions): Promise<KubernetesApi> {
  const { host = '127.0.0.1', port, unix, serviceCidr = ['10.96.0.0/16'], historySize = 10_000 } = options;
  const { bookmarkIntervalMs = 60_000, log = silentLogger } = options;
  await checkListenHost(host);
  const onListenerError = (error: unknown) => log.error({ error }, 'Listener of the store failed');
  const store = new Store({ historySize, firstRevision: Date.now() - EPOCH, onListenerError });
  const registry = new Registry(builtinResources);
  const operations = new Operations({ store, registry, serviceRanges: serviceCidr.map(cidr) });
  const stopControllers = startControllers(operations, log);
  const server = new ApiServer(operations, log, bookmarkIntervalMs);
  const close = async () => {
    await server.close();
    stopControllers();
  };
  try {
    if (unix !== undefined) await server.listen({ path: unix });
    const bound = (await server.listen({ host, port })) as AddressInfo;
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${bound.port}`;
    log.info({ url }, 'Kubernetes API serves');
    return { url, store, operations, close };
  } catch (error) {
    await close();
    throw error;
  }
}
