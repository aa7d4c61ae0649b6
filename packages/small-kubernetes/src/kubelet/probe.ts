/**
 * Readiness by HTTP probes. Until the first success it asks at short, growing intervals instead of the period, so that a
 * pod which is up in 60 ms counts as ready in 70 and not in a second.
 */
import { once } from 'node:events';
import { get, type IncomingMessage, type RequestOptions } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Container } from '@tombolo/machine/kubernetes/objects.ts';

const FIRST_INTERVAL_MS = 10;

/** Reports each change of readiness until `signal` aborts. Begins as not ready, but without a probe. */
export async function watchReadiness(
  { readinessProbe: probe, ports = [] }: Container,
  host: string,
  report: (ready: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  if (probe?.httpGet === undefined) return report(true);
  const { path, port: given } = probe.httpGet;
  const port = typeof given === 'number' ? given : (ports.find(({ name }) => name === given)?.containerPort ?? 0);
  const timeout = (probe.timeoutSeconds ?? 1) * 1000;
  const period = (probe.periodSeconds ?? 10) * 1000;
  const thresholds = { true: probe.successThreshold ?? 1, false: probe.failureThreshold ?? 3 };
  let interval = Math.min(FIRST_INTERVAL_MS, period);
  let ready = false;
  let streak = 0;
  const pause = (ms: number) => sleep(ms, undefined, { signal }).catch(() => {});
  await pause((probe.initialDelaySeconds ?? 0) * 1000);
  while (!signal.aborted) {
    const success = await answersWell({ host, port, path, timeout, agent: false });
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
async function answersWell(options: RequestOptions): Promise<boolean> {
  try {
    const request = get(options);
    request.on('error', () => {}).once('timeout', () => request.destroy());
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.on('error', () => {}).resume();
    return response.statusCode !== undefined && response.statusCode >= 200 && response.statusCode < 400;
  } catch {
    return false;
  }
}
