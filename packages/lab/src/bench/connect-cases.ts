/** The cases of the connect benchmark, and the Services that they are measured with. Pure. */
import { ip } from '@tombolo/shared/model/ip.ts';
import {
  compareRouteBackends,
  type FrontendRoute,
  type RouteBackend,
  type Routes,
} from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import { SERVER_PORT, SERVERS } from './connect-lab.ts';
import type { ListedService } from './kube-proxy-rules.ts';

export type Contestant = 'ebpf' | 'packets' | 'nftables' | 'iptables';
const CONTESTANTS: readonly Contestant[] = ['ebpf', 'packets', 'nftables', 'iptables'];
const SIZES: readonly number[] = [1, 1000, 10_000, 50_000];
const MOST_SERVICES = 50_000;
const SERVICE_PORT = 80;
const BACKENDS = SERVERS.length;

export interface ConnectCase {
  readonly name: string;
  readonly contestant: Contestant;
  readonly services: number;
}

/** `ebpf/1000`; none means all, in the order in which they are measured. */
export function parseCases(names: readonly string[], sizes = SIZES): readonly ConnectCase[] {
  const all = CONTESTANTS.flatMap((contestant) => sizes.map((size) => `${contestant}/${size}`));
  return (names.length === 0 ? all : names).map((name) => {
    const [contestant, size = ''] = name.split('/');
    const known = CONTESTANTS.find((one) => one === contestant);
    const services = /^[1-9]\d*$/.test(size) ? Number(size) : 0;
    if (known === undefined || services < 1 || services > MOST_SERVICES) {
      throw new Error(
        `Cannot measure case ${JSON.stringify(name)}: expected ebpf, packets, nftables or iptables, '/' and 1-${MOST_SERVICES}`,
      );
    }
    return { name, contestant: known, services };
  });
}

/** The one that is connected to: what a list costs on average. */
const targetOf = (services: number): number => Math.floor(services / 2);

const serviceAddress = (i: number): string => `10.${96 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
export const targetAddress = (services: number): string => `${serviceAddress(targetOf(services))}:${SERVICE_PORT}`;

/** Only the target has servers behind it; the others' backends have addresses of their own that nobody has. */
export function listServices(
  services: number,
  port = SERVER_PORT,
  backends: number = BACKENDS,
): readonly ListedService[] {
  return Array.from({ length: services }, (_, i) => ({
    name: `bench/service-${i}:http`,
    frontend: { address: ip(serviceAddress(i)), port: SERVICE_PORT },
    backends: Array.from({ length: backends }, (_, k) => {
      const n = i * backends + k;
      const address =
        (i === targetOf(services) ? SERVERS[k] : undefined) ?? `10.${4 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
      return { address, port };
    }),
  }));
}

export function routesOf(services: readonly ListedService[]): Routes {
  return new Map(
    services.map(({ frontend: { address, port }, backends }): [string, FrontendRoute] => {
      const frontend: Frontend = { kind: 'ClusterIP', protocol: 'TCP', address, port };
      const route = {
        frontend,
        backends: backends
          .map((backend): RouteBackend => ({ address: ip(backend.address), port: backend.port, clusterId: 1 }))
          .sort(compareRouteBackends),
        sessionAffinitySeconds: 0,
      };
      return [frontendId(frontend), route];
    }),
  );
}
