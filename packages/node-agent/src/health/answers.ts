/** What is answered to load balancers, in kube-proxy's words: those who ask were written for it. Pure. */
import type { IpFamily } from '@tombolo/shared/model/ip.ts';
import { splitServiceKey } from '@tombolo/shared/model/service.ts';
import type { HealthCheck } from './checks.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** `family` is that of the address that was asked. The weight lets load balancers send more to nodes with more endpoints. */
export function answerCheck({ service, endpoints }: HealthCheck, family: IpFamily, healthy: boolean): Answer {
  const localEndpoints = endpoints[family];
  const body = { service: splitServiceKey(service), localEndpoints, serviceProxyHealthy: healthy };
  return json(localEndpoints > 0 && healthy, body, { 'x-load-balancing-endpoint-weight': `${localEndpoints}` });
}

export interface ProxyState {
  readonly healthy: boolean;
  readonly nodeEligible: boolean;
  /** When the kernel was programmed last; ms since the epoch. */
  readonly updatedAt: number;
}

/** For externalTrafficPolicy Cluster: `/healthz` tells of the node, `/livez` only of the proxy on it. */
export function answerProxy(path: string, proxy: ProxyState, mode: string, now: number): Answer {
  const { healthy, nodeEligible, updatedAt } = proxy;
  // While all is well it is up to date, however long ago the last change was: some take an old time for a fault.
  const lastUpdated = new Date(healthy ? now : updatedAt);
  const state = { lastUpdated, currentTime: new Date(now), healthy };
  switch (path) {
    case '/healthz':
      return json(healthy && nodeEligible, { ...state, nodeEligible });
    case '/livez':
      return json(healthy, state);
    case '/proxyMode':
      return text(200, mode);
    default:
      return text(404, 'Expected /healthz, /livez or /proxyMode\n');
  }
}

const NO_SNIFFING = { 'x-content-type-options': 'nosniff' };

const json = (good: boolean, body: unknown, headers: Answer['headers'] = {}): Answer => ({
  status: good ? 200 : 503,
  headers: { 'content-type': 'application/json', ...NO_SNIFFING, ...headers },
  body: `${JSON.stringify(body)}\n`,
});

const text = (status: number, body: string): Answer => ({
  status,
  headers: { 'content-type': 'text/plain; charset=utf-8', ...NO_SNIFFING },
  body,
});
