/** Helpers to write down printer columns, and the cells that many kinds share. */
import type { KubeObject } from '../objects.ts';
import type { Column } from '../resource.ts';

type Cell = string | number | boolean;

export function column(
  name: string,
  cell: (object: KubeObject, now: Date) => Cell,
  { priority = 0, type = 'string', format = '', description = '' } = {},
): Column {
  return { name, cell, priority, type, format, description };
}

/** For `-o wide` only. */
export const wide = (name: string, cell: (object: KubeObject, now: Date) => Cell): Column =>
  column(name, cell, { priority: 1 });

export const nameColumn = column('Name', ({ metadata }) => metadata.name, { format: 'name' });

export const ageColumn = column('Age', ({ metadata }, now) => age(metadata.creationTimestamp, now));

export const defaultColumns: readonly Column[] = [
  nameColumn,
  column('Created At', ({ metadata }) => metadata.creationTimestamp, { type: 'date' }),
];

export function age(since: string | undefined, now: Date): string {
  return since === undefined ? '<unknown>' : humanDuration(now.getTime() - Date.parse(since));
}

/** As kubectl writes durations: two units at most, fewer the longer it is. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return pair(days, 'd', hours % 24, 'h');
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? pair(years, 'y', days % 365, 'd') : `${years}y`;
}

const pair = (large: number, largeUnit: string, small: number, smallUnit: string) =>
  small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;

export function formatMap(map: unknown): string {
  const entries = Object.entries((map ?? {}) as Record<string, unknown>);
  return entries.length === 0 ? '<none>' : entries.map(([key, value]) => `${key}=${value}`).join(',');
}

/** `a,b,c + 2 more...` */
export function formatList(items: readonly string[], shown = 3): string {
  if (items.length === 0) return '<none>';
  const rest = items.length - shown;
  return items.slice(0, shown).join(',') + (rest > 0 ? ` + ${rest} more...` : '');
}
