/** `tombolo clusters` for people: a table, then what is wrong with each cluster. Pure. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { ageOf } from './age.ts';
import { plural } from './status-view.ts';
import { type Cell, formatTable, type Paint, printable, type Style } from './table.ts';
import { controlWord } from './words.ts';

/** The others are counted; `-o json` has all. */
const MAX_REFUSED = 10;

const HEADER = ['NAME', 'ID', 'CONTROL', 'SINCE', 'HEARD', 'SERVICES', 'BACKENDS', 'NODES', 'FAILURES', 'REFUSED'];

export function formatClusters(clusters: readonly api.Cluster[], now: number, paint: Paint): string {
  if (clusters.length === 0) return 'No clusters\n';
  const rows = clusters.map((cluster) => row(cluster, now));
  const notes = clusters.flatMap((cluster) => clusterNotes(cluster, now, paint));
  return formatTable([...HEADER, 'ENDPOINTS'], rows, paint) + notes.map((note) => `\n${note}`).join('');
}

const CONTROL_STYLES: Partial<Record<api.ControlState, Style>> = {
  CONTROL_STATE_HEARD: 'green',
  CONTROL_STATE_FAILED: 'red',
};

function row(cluster: api.Cluster, now: number): readonly Cell[] {
  const stale = cluster.control === 'CONTROL_STATE_SILENT' ? ' (stale)' : '';
  return [
    cluster.local ? `${cluster.name} (local)` : cluster.name,
    cluster.id === 0 ? '' : String(cluster.id),
    { text: controlWord(cluster.control) + stale, style: CONTROL_STYLES[cluster.control] ?? 'yellow' },
    ageOf(cluster.since, now),
    ageOf(cluster.heardAt, now),
    ...[cluster.services, cluster.backends, cluster.nodes, cluster.failures, cluster.quarantinedCount].map(String),
    cluster.endpoints.join(','),
  ];
}

function clusterNotes(cluster: api.Cluster, now: number, paint: Paint): readonly string[] {
  const error = [cluster.lastError, ...cluster.warnings]
    .filter((reason) => reason !== '')
    .map((reason) => `${cluster.name}: ${paint('yellow', printable(reason))}\n`);
  if (cluster.quarantinedCount === 0) return error;
  const shown = cluster.quarantined.slice(0, MAX_REFUSED);
  const rows = shown.map(({ key, reason, at }) => [key, ageOf(at, now), reason]);
  const more = cluster.quarantinedCount - shown.length;
  return [
    ...error,
    `${cluster.name}: ${plural(cluster.quarantinedCount, 'entry').replace('entrys', 'entries')} refused\n` +
      formatTable(['KEY', 'AGE', 'REASON'], rows, paint, '  ') +
      (more > 0 ? `  and ${more} more (-o json shows up to 500)\n` : ''),
  ];
}
