/**
 * The gRPC server behind the agent's socket: the query API, health and reflection. It listens nowhere; connections are
 * handed to it.
 */
import type { Socket } from 'node:net';
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { agentDefinition } from '@tombolo/proto/definition.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { isReady } from './cluster-message.ts';
import { agentHandlers } from './handlers.ts';
import { healthDefinition, healthHandlers } from './health-service.ts';
import { OpenStreams } from './open-streams.ts';
import { addReflection } from './reflection.ts';
import type { ApiSource } from './source.ts';

export interface GrpcServer {
  take(connection: Socket): void;
  /** Ends the streams, and resolves when all calls under way are answered. */
  drain(): Promise<void>;
  /** Ends what is still under way. */
  end(): void;
}

/** Requests are small; answers bound themselves. */
const MAX_REQUEST_BYTES = 64 * 1024;

export function createGrpcServer(source: ApiSource, log: Logger, random: () => number): GrpcServer {
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
  const connections = server.createConnectionInjector(ServerCredentials.createInsecure());
  return {
    take: (connection) => connections.injectConnection(connection),
    drain: () => {
      streams.drain();
      return new Promise((resolve) => server.tryShutdown(() => resolve()));
    },
    end: () => server.forceShutdown(),
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
