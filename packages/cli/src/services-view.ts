/** `tombolo services` and the lines of `tombolo watch` for people. Pure. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { ageOf } from './age.ts';
import { plural } from './status-view.ts';
import { type Cell, formatTable, type Paint } from './table.ts';
import { affinityWord, protocolWord } from './words.ts';

const HEADER = ['NAMESPACE', 'NAME', 'SCOPE', 'AFFINITY', 'ADDRESS', 'PORTS', 'BACKENDS', 'CLUSTERS', 'AGE'];

export function formatServices(services: readonly api.Service[], now: number, paint: Paint): string {
  if (services.length === 0) return 'No services\n';
  const rows = services.map((service) => row(service, now));
  return formatTable(HEADER, rows, paint);
}

function row(service: api.Service, now: number): readonly Cell[] {
  return [
    service.namespace,
    service.name,
    scopeOf(service),
    affinityWord(service.affinity),
    clusterIps(service).join(','),
    ports(service).join(','),
    backendCell(service),
    usedByCluster(service),
    ageOf(service.origin?.learnedAt ?? null, now),
  ];
}

/** `global,shared`, or what is missing of it. */
export function scopeOf({ local, global, shared }: api.Service): string {
  if (!local) return 'remote only';
  if (global) return shared ? 'global,shared' : 'global';
  return 'local';
}

function clusterIps({ groups }: api.Service): readonly string[] {
  const frontends = groups.flatMap((group) => group.frontends);
  const ips = frontends.filter(({ kind }) => kind === 'FRONTEND_KIND_CLUSTER_IP').map(({ address }) => address);
  return [...new Set(ips)];
}

const ports = ({ groups }: api.Service): readonly string[] => [
  ...new Set(groups.flatMap(({ port }) => (port ? [`${port.port}/${protocolWord(port.protocol)}`] : []))),
];

function backendCell({ selectedCount, backendCount }: api.Service): Cell {
  const text = `${selectedCount}/${backendCount}`;
  return selectedCount === 0 && backendCount > 0 ? { text, style: 'yellow' } : text;
}

/** How many backends are used of each cluster, e.g. `east 2, west 1 (stale)`. */
function usedByCluster({ groups }: api.Service): string {
  const used = groups.flatMap(({ backends }) => backends.filter(({ verdict }) => verdict === 'VERDICT_SELECTED'));
  const parts = [...Map.groupBy(used, ({ cluster }) => cluster)].map(
    ([name, own]) => `${name} ${own.length}${own.some(({ stale }) => stale) ? ' (stale)' : ''}`,
  );
  return parts.join(', ');
}

/** One line for one event; none where there is nothing to tell people. */
export function formatWatchLine(event: api.WatchServicesResponse, shown: number): string {
  const at = `${event.revision}`.padStart(8);
  const nameOf = ({ namespace, name }: api.ServiceName): string => `${namespace}/${name}`.padEnd(32);
  switch (event.event) {
    case 'service': {
      const { selectedCount, backendCount } = event.service;
      const used = usedByCluster(event.service);
      const backends = `${selectedCount}/${plural(backendCount, 'backend')}`;
      return `${at}  ${nameOf(event.service)}  ${used ? `${backends.padEnd(16)}  ${used}` : backends}\n`;
    }
    case 'removed':
      return `${at}  ${nameOf(event.removed)}  removed\n`;
    case 'snapshotEnd':
      return `${at}  ${plural(shown, 'service')}; changes follow\n`;
    default:
      return '';
  }
}
