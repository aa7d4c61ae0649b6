/**
 * Readiness probes. `Prober` asks and counts towards the thresholds; until the first success it asks at short, growing
 * intervals instead of the period, so that a pod which is up in 60 ms counts as ready in 70 and not in a second.
 */
import { once } from 'node:events';
import { get, type IncomingMessage, type RequestOptions } from 'node:http';
import { connect, type NetConnectOpts } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Container, Probe } from '@tombolo/machine/kubernetes/objects.ts';

export interface ProbeTarget {
  readonly address: string;
  /** Runs a command in the container; resolves with its exit code. */
  exec(argv: readonly string[], timeoutMs: number): Promise<number>;
}

const FIRST_INTERVAL_MS = 10;

/** Reports each change of readiness until `signal` aborts. Begins as not ready. */
export async function watchReadiness(
  container: Container,
  target: ProbeTarget,
  report: (ready: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  const probe = container.readinessProbe;
  if (probe === undefined) return report(true);
  const period = (probe.periodSeconds ?? 10) * 1000;
  const thresholds = { true: probe.successThreshold ?? 1, false: probe.failureThreshold ?? 3 };
  let interval = Math.min(FIRST_INTERVAL_MS, period);
  let ready = false;
  let streak = 0;
  const pause = (ms: number) => sleep(ms, undefined, { signal }).catch(() => {});
  await pause((probe.initialDelaySeconds ?? 0) * 1000);
  while (!signal.aborted) {
    const success = await probeOnce(container, probe, target);
    if (signal.aborted) return;
    streak = success === ready ? 0 : streak + 1;
    if (success !== ready && streak >= thresholds[`${success}`]) {
      ready = success;
      streak = 0;
      interval = period;
      report(ready);
    }
    await pause(interval);
    interval = Math.min(period, interval * 1.5);
  }
}

/** One attempt: passed or not, whatever the reason. */
async function probeOnce(container: Container, probe: Probe, target: ProbeTarget): Promise<boolean> {
  const timeout = (probe.timeoutSeconds ?? 1) * 1000;
  const { httpGet, tcpSocket, exec } = probe;
  const { address: host } = target;
  try {
    if (httpGet) return await probeHttp({ host, port: portOf(container, httpGet.port), path: httpGet.path, timeout });
    if (tcpSocket) return await probeTcp({ host, port: portOf(container, tcpSocket.port), timeout });
    return exec === undefined || (await target.exec(exec.command ?? [], timeout)) === 0;
  } catch {
    return false;
  }
}

function portOf({ ports = [] }: Container, port: number | string): number {
  return typeof port === 'number' ? port : (ports.find(({ name }) => name === port)?.containerPort ?? 0);
}

async function probeHttp(options: RequestOptions): Promise<boolean> {
  const request = get({ ...options, agent: false });
  request.on('error', () => {}).once('timeout', () => request.destroy());
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.on('error', () => {}).resume();
  return response.statusCode !== undefined && response.statusCode >= 200 && response.statusCode < 400;
}

async function probeTcp(options: NetConnectOpts): Promise<boolean> {
  const socket = connect(options);
  socket.once('timeout', () => socket.destroy(new Error('timed out')));
  await once(socket, 'connect');
  socket.destroy();
  return true;
}
