/**
 * grpc.health.v1 as probes and load balancers use it. The whole server (``), `tombolo.v1.Agent` and `readiness` are
 * SERVING once every part of the agent has started; `liveness` is as long as calls are answered. `grpc-health-check`
 * gives the definition; its implementation is not used, because it cannot end its watches when the agent shuts down.
 */
import { type handleServerStreamingCall, type handleUnaryCall, status } from '@grpc/grpc-js';
import { AGENT_SERVICE } from '@tombolo/proto/definition.ts';
import { sleep, systemClock } from '@tombolo/shared/process/clock.ts';
import { service } from 'grpc-health-check';
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
    watch: (call) => void streams.run(call, (over) => healthChanges(() => healthOf(call.request.service), over)),
  };
}

async function* healthChanges(read: () => HealthResponse, signal: AbortSignal): AsyncGenerator<HealthResponse> {
  let sent: HealthResponse | undefined;
  while (!signal.aborted) {
    const health = read();
    if (health.status !== sent?.status) yield health;
    sent = health;
    await sleep(systemClock, REFRESH_MS, signal);
  }
}
