/**
 * The agent's gRPC server: the query API, health and reflection on one socket. `serveApi` resolves when callers can
 * connect, and rejects with one sentence when they never will. Closing ends the streams, lets answers under way finish
 * within a deadline, and leaves no handle behind.
 */
import type { Socket } from 'node:net';
import { type ConnectionInjector, Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { parseApiAddress } from '@tombolo/proto/address.ts';
import { agentDefinition } from '@tombolo/proto/definition.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { isReady } from './cluster-message.ts';
import { agentHandlers } from './handlers.ts';
import { healthDefinition, healthHandlers } from './health-service.ts';
import { type Listening, listen } from './listen.ts';
import { OpenStreams } from './open-streams.ts';
import { addReflection } from './reflection.ts';
import type { ApiSource } from './source.ts';

export interface ApiServerOptions {
  /** `unix:///path` or `host:port`; port 0 takes any free one. */
  readonly address: string;
  readonly source: ApiSource;
  readonly log: Logger;
  /** How long calls under way may take when the agent shuts down. */
  readonly drainMs?: number;
  readonly random?: () => number;
}

export interface ApiServer {
  readonly address: string;
  close(): Promise<void>;
}

/** Requests are small; answers bound themselves. */
const MAX_REQUEST_BYTES = 64 * 1024;

export async function serveApi(options: ApiServerOptions): Promise<ApiServer> {
  const { source, log, drainMs = 2_000, random = Math.random } = options;
  const address = parseApiAddress(options.address);
  if (!address.ok) throw new Error(`Cannot serve the API: ${address.error}`);
  const listening = await listen(address.value);
  const streams = new OpenStreams(log);
  const server = new Server({
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    // Finds out about watchers that vanished without a word.
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
  });
  addService(server, agentDefinition, agentHandlers(source, streams, random));
  addService(
    server,
    healthDefinition,
    healthHandlers(() => isReady(source.status()), streams),
  );
  addReflection(server);
  const sockets = acceptInto(server.createConnectionInjector(ServerCredentials.createInsecure()), listening);
  log.info({ address: listening.address }, 'Serving the API');
  let closed: Promise<void> | undefined;
  return {
    address: listening.address,
    close: () => {
      closed ??= close(server, listening, streams, sockets, drainMs);
      return closed;
    },
  };
}

/** grpc-js types handlers as records of `any`; ours were checked against the definition before they come here. */
function addService<Handlers extends object>(
  server: Server,
  definition: Parameters<Server['addService']>[0],
  handlers: Handlers,
): void {
  server.addService(definition, { ...handlers } as UntypedServiceImplementation);
}

/** We listen ourselves, for errors that can be told apart and a socket that appears with its mode. */
function acceptInto(injector: ConnectionInjector, { server }: Listening): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    injector.injectConnection(socket);
  });
  return sockets;
}

async function close(
  server: Server,
  listening: Listening,
  streams: OpenStreams,
  sockets: ReadonlySet<Socket>,
  drainMs: number,
): Promise<void> {
  await listening.unlink();
  const stopped = new Promise<void>((resolve) => listening.server.close(() => resolve()));
  streams.drain();
  const force = setTimeout(() => {
    server.forceShutdown();
    for (const socket of sockets) socket.destroy();
  }, drainMs);
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  await stopped;
  clearTimeout(force);
}
