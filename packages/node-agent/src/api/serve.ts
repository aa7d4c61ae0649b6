/**
 * The agent's gRPC API on its socket. `serveApi` resolves when callers can connect, and rejects with one sentence when
 * they never will. We listen ourselves, for errors that can be told apart and a socket that appears with its mode; gRPC
 * is loaded when the first caller connects, if it was not before, in turns of its own: it takes tens of milliseconds. Closing ends the streams, lets answers
 * under way finish within a deadline, and leaves no handle behind.
 */
import type { Socket } from 'node:net';
import { parseApiAddress } from '@tombolo/proto/address.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { nextTurn } from '@tombolo/shared/process/slices.ts';
import type { createGrpcServer, GrpcServer } from './grpc-server.ts';
import { type Listening, listen } from './listen.ts';
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

export async function serveApi(options: ApiServerOptions): Promise<ApiServer> {
  const { source, log, drainMs = 2_000, random = Math.random } = options;
  const address = parseApiAddress(options.address);
  if (!address.ok) throw new Error(`Cannot serve the API: ${address.error}`);
  const listening = await listen(address.value);
  const sockets = new Set<Socket>();
  let grpc: Promise<GrpcServer> | undefined;
  listening.server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => {}); // gRPC tells its calls; a connection that breaks before gRPC has it has none.
    grpc ??= create(source, log, random);
    grpc.then(
      (server) => socket.destroyed || server.take(socket),
      (error: unknown) => {
        log.error({ error, bug: true }, 'Cannot load the API');
        socket.destroy();
      },
    );
  });
  log.info({ address: listening.address }, 'Serving the API');
  let closed: Promise<void> | undefined;
  return {
    address: listening.address,
    close: () => {
      closed ??= close(listening, grpc, sockets, drainMs);
      return closed;
    },
  };
}

/** Otherwise the library is loaded with the first call. */
export const loadGrpc = () => import('./grpc-server.ts');

async function create(...options: Parameters<typeof createGrpcServer>): Promise<GrpcServer> {
  const { createGrpcServer } = await loadGrpc();
  await nextTurn();
  const server = createGrpcServer(...options);
  await nextTurn();
  return server;
}

async function close(
  listening: Listening,
  grpc: Promise<GrpcServer> | undefined,
  sockets: ReadonlySet<Socket>,
  drainMs: number,
): Promise<void> {
  await listening.unlink();
  const stopped = new Promise<void>((resolve) => listening.server.close(() => resolve()));
  const server = await grpc;
  const force = setTimeout(() => {
    server?.end();
    for (const socket of sockets) socket.destroy();
  }, drainMs);
  await server?.drain();
  await stopped;
  clearTimeout(force);
}
