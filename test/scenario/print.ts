/** How scenarios show the table, the clusters and the kernel. */
import type { MemoryKernel } from '@tombolo/node-agent/datapath/memory.fixture.ts';
import type { ServiceTable } from '@tombolo/node-agent/table/service-table.ts';
import { formatCidr } from '@tombolo/shared/model/ip.ts';
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { ClusterStatus, Decision, Frontend, ServiceExplanation } from '@tombolo/shared/model/service-table.ts';

export const printTable = (table: ServiceTable): readonly string[] => {
  const sorted = [...table.services].sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.length === 0 ? ['no services'] : sorted.flatMap(([, facts]) => printEntry(table.explain(facts)));
};

function printEntry({ key, service, affinity, groups, unmatched }: ServiceExplanation): readonly string[] {
  const kind = service ? (service.global ? 'global' : 'not global') : 'not here';
  return [
    `${key}: ${kind}${affinity === 'none' ? '' : `, affinity ${affinity}`}`,
    ...groups.flatMap(({ clients, frontends, refused, decisions }) => [
      `  ${frontends.map(where).join(' ') || (refused.length > 0 ? 'nowhere' : 'headless')}${clients === 'all' ? '' : ` from ${clients}`}`,
      ...refused.map(({ frontend, reason }) => `    not at ${where(frontend)}: ${reason}`),
      ...decisions.map(printDecision),
    ]),
    ...(unmatched.length > 0 ? ['  no frontend', ...unmatched.map(printDecision)] : []),
  ];
}

function printDecision({ backend, verdict, detail }: Decision): string {
  const { address, port, cluster, state, stale } = backend;
  const where = `${cluster.name.padEnd(12)} ${address}:${port}`.padEnd(34);
  return `    ${where} ${(stale ? `${state}, stale` : state).padEnd(14)} ${verdict.padEnd(16)} ${detail}`;
}

export function printKernel(kernel: MemoryKernel): readonly string[] {
  const list = (backends: readonly RouteBackend[]): string =>
    [...Map.groupBy(backends, ({ address, port, clusterId }) => `${address}:${port} (${clusterId})`)]
      .map(([backend, { length }]) => (length === 1 ? backend : `${backend} x${length}`))
      .join(', ');
  const lines = [...kernel.routes.values()].map(({ frontend, backends, outside, sourceRanges }) => {
    const limits = [
      ...(outside ? [`; from outside ${list(outside) || 'no answer'}`] : []),
      ...(sourceRanges ? [`; from outside only ${sourceRanges.map(formatCidr).join(', ')}`] : []),
    ];
    return `${where(frontend)} -> ${list(backends) || 'refuse'}${limits.join('')}`;
  });
  return lines.length === 0 ? ['nothing'] : lines.sort();
}

const where = ({ address, port, protocol }: Frontend): string => `${address}:${port}/${protocol}`;

export function printClusters(statuses: ReadonlyMap<string, ClusterStatus>): readonly string[] {
  const sorted = [...statuses.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return sorted.flatMap(({ name, id, control, services, backends, lastError, warnings, quarantined }) => [
    `${name.padEnd(6)} id ${id ?? 'unknown'}, ${control}: ${services} Services, ${backends} backends`,
    ...[lastError, ...warnings].filter((text) => text !== '').map((text) => `  ${text.replace(TIME, 'THEN')}`),
    ...quarantined.map(({ key, reason }) => `  ${key}: ${reason}`),
  ]);
}

const TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;
