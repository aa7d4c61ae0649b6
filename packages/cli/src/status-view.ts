/** `tombolo status` for people. Pure. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { ageOf } from './age.ts';
import { formatTable, type Paint, type Style } from './table.ts';
import { healthWord } from './words.ts';

export function formatStatus(status: api.GetStatusResponse, now: number, paint: Paint): string {
  const lines = [
    ['Agent', `node ${status.node} of cluster ${status.cluster} (id ${status.clusterId}), version ${status.version}`],
    ['Running', ageOf(status.startedAt, now)],
    ['Datapath', status.datapathReason ? `${status.datapath} (${status.datapathReason})` : status.datapath],
    ['Table', `revision ${status.tableRevision}, ${plural(status.services, 'service')}`],
    ['Clusters', `${status.clustersHeard} of ${status.clusters} heard`],
    ['Ready', status.ready ? paint('green', 'yes') : paint('red', 'no')],
  ];
  const facts = lines.map(([name = '', value]) => `${name.padEnd(10)}${value}\n`).join('');
  if (status.parts.length === 0) return facts;
  const rows = status.parts.map(({ name, state, reason }) => [
    name,
    { text: healthWord(state), style: HEALTH_STYLES[state] ?? 'yellow' },
    reason,
  ]);
  return `${facts}\n${formatTable(['PART', 'STATE', 'REASON'], rows, paint)}`;
}

const HEALTH_STYLES: Partial<Record<api.HealthState, Style>> = { HEALTH_STATE_OK: 'green' };

export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
