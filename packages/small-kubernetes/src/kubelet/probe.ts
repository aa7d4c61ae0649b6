/**
 * Readiness probes. `Prober` asks and counts towards the thresholds; until the first success it asks at short, growing
 * intervals instead of the period, so that a pod which is up in 60 ms counts as ready in 70 and not in a second.
 */
import { get } from 'node:http';
import { connect } from 'node:net';
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
function probeOnce(container: Container, probe: Probe, target: ProbeTarget): Promise<boolean> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  const { httpGet, tcpSocket, exec } = probe;
  if (httpGet) return probeHttp(target.address, portOf(container, httpGet.port), httpGet.path ?? '/', timeoutMs);
  if (tcpSocket) return probeTcp(target.address, portOf(container, tcpSocket.port), timeoutMs);
  if (exec) {
    return target.exec(exec.command ?? [], timeoutMs).then(
      (code) => code === 0,
      () => false,
    );
  }
  return Promise.resolve(true);
}

function portOf({ ports = [] }: Container, port: number | string): number {
  return typeof port === 'number' ? port : (ports.find(({ name }) => name === port)?.containerPort ?? 0);
}

function probeHttp(host: string, port: number, path: string, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host, port, path, timeout, agent: false }, (response) => {
      response.resume();
      response.once('error', () => {});
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 400);
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(false));
    request.once('close', () => resolve(false));
  });
}

function probeTcp(host: string, port: number, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout });
    const finish = (passed: boolean): void => {
      socket.destroy();
      resolve(passed);
    };
    socket.once('connect', () => finish(true));
    socket.once('timeout', () => finish(false));
    socket.once('error', () => finish(false));
  });
}
