/**
 * grpc.health.v1 as probes and load balancers use it. The whole server (``), `tombolo.v1.Agent` and `readiness` are
 * SERVING once every part of the agent has started; `liveness` is as long as calls are answered. `grpc-health-check`
 * gives the definition; its implementation is not used, because it cannot end its watches when the agent shuts down.
 */
import { type handleServerStreamingCall, type handleUnaryCall, type ServerWritableStream, status } from '@grpc/grpc-js';
import { AGENT_SERVICE } from '@tombolo/proto/definition.ts';
import { service } from 'grpc-health-check';
import { Bell } from './bell.ts';
import type { OpenStreams } from './open-streams.ts';

/** How often watchers look; a check always gives the latest. */
const REFRESH_MS = 1_000;
const READINESS = ['', AGENT_SERVICE, 'readiness'];
const LIVENESS = 'liveness';

interface HealthRequest {
  readonly service: string;
}
interface HealthResponse {
  readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
}
interface HealthList {
  readonly statuses: Readonly<Record<string, HealthResponse>>;
}

export interface HealthHandlers {
  readonly check: handleUnaryCall<HealthRequest, HealthResponse>;
  readonly list: handleUnaryCall<object, HealthList>;
  readonly watch: handleServerStreamingCall<HealthRequest, HealthResponse>;
}

/** As `@grpc/proto-loader` loaded it; also what reflection says about it. */
export const healthDefinition = service;

export function healthHandlers(isReady: () => boolean, streams: OpenStreams): HealthHandlers {
  const healthOf = (name: string): HealthResponse => {
    if (name === LIVENESS) return { status: 'SERVING' };
    if (!READINESS.includes(name)) return { status: 'SERVICE_UNKNOWN' };
    return { status: isReady() ? 'SERVING' : 'NOT_SERVING' };
  };
  return {
    check: ({ request }, callback) => {
      const health = healthOf(request.service);
      if (health.status !== 'SERVICE_UNKNOWN') return callback(null, health);
      callback({ code: status.NOT_FOUND, details: `Health of ${JSON.stringify(request.service)} is not known` });
    },
    list: (_call, callback) =>
      callback(null, { statuses: Object.fromEntries([...READINESS, LIVENESS].map((name) => [name, healthOf(name)])) }),
    watch: (call) => void watch(call, () => healthOf(call.request.service), streams),
  };
}

function watch(
  call: ServerWritableStream<HealthRequest, HealthResponse>,
  read: () => HealthResponse,
  streams: OpenStreams,
): Promise<void> {
  return streams.run(call, () => {
    const bell = new Bell((listener) => {
      const timer = setInterval(listener, REFRESH_MS);
      return () => clearInterval(timer);
    });
    return { messages: healthChanges(read, bell), close: () => bell.close() };
  });
}

async function* healthChanges(read: () => HealthResponse, bell: Bell): AsyncGenerator<HealthResponse> {
  let sent: HealthResponse | undefined;
  do {
    const health = read();
    if (health.status !== sent?.status) yield health;
    sent = health;
  } while (await bell.next());
}
