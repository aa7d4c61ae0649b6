/** `tombolo lb pools`: what pools there are, how much of each is given and to whom. Pure. */
import type { Json } from '@tombolo/shared/kubernetes/json.ts';

import { type AddressPool, poolId } from '@tombolo/shared/model/address-pool.ts';
import { type AddressRange, addressAt, isIn, numberOf } from '@tombolo/shared/model/address-range.ts';
import { familyOf, type IpAddress } from '@tombolo/shared/model/ip.ts';
import { compareText } from '@tombolo/shared/model/order.ts';
import { conflictOf, conflictsAmong } from '@tombolo/shared/model/pool-conflicts.ts';
import type { AddressFacts } from './address-facts.ts';
import { type Cell, formatTable, type Paint } from './table.ts';

export interface PoolSummary {
  readonly name: string;
  readonly kind: string;
  readonly ranges: readonly string[];
  /** Addresses that Services have. */
  readonly used: number;
  /** By its status, as a number of any size; undefined where it does not say. */
  readonly total?: string | undefined;
  /** As `namespace/name`. */
  readonly services: readonly string[];
  readonly problems: readonly string[];
}

export function summarisePools({ pools, services }: AddressFacts): readonly PoolSummary[] {
  const read = pools.flatMap(({ pool }) => pool ?? []);
  const conflicts = conflictsAmong(read);
  return pools
    .map(({ pool, kind, name, status, problems }): PoolSummary => {
      const users = pool ? services.filter(({ taken }) => taken.held.some((address) => hasAddress(pool, address))) : [];
      const addresses = users.flatMap(({ taken }) => taken.held.filter((address) => pool && hasAddress(pool, address)));
      const other = pool && conflicts.get(poolId(pool));
      return {
        ...{ name, kind, ranges: pool?.ranges.map(formatRange) ?? [] },
        used: new Set(addresses).size,
        total: totalIn(status),
        services: users.map(({ taken }) => taken.key).sort(),
        problems: [
          ...(pool?.disabled ? ['it is disabled'] : []),
          ...(pool && other ? [`gives out nothing: ${conflictOf(pool, other)}`] : []),
          ...problems,
        ],
      };
    })
    .sort((a, b) => compareText(a.kind, b.kind) || compareText(a.name, b.name));
}

const HEADER = ['NAME', 'KIND', 'RANGES', 'USED', 'TOTAL', 'USED BY', 'REMARK'];
/** So many of a list stand in a cell. */
const MOST = 3;

export function formatPools(pools: readonly PoolSummary[], _now: number, paint: Paint): string {
  if (pools.length === 0) return 'No pools\n';
  const rows = pools.map(({ name, kind, ranges, used, total, services, problems }): readonly Cell[] => [
    name,
    kind,
    some(ranges),
    `${used}`,
    total ?? '',
    some(services),
    { text: problems.join('; '), style: 'yellow' },
  ]);
  return formatTable(HEADER, rows, paint);
}

const some = (items: readonly string[]): string =>
  items.length > MOST ? `${items.slice(0, MOST).join(',')} and ${items.length - MOST} more` : items.join(',');

export function hasAddress({ ranges }: AddressPool, address: IpAddress): boolean {
  const [family, number] = [familyOf(address), numberOf(address)];
  return ranges.some((range) => isIn(range, family, number));
}

function formatRange({ family, first, last }: AddressRange): string {
  const [from, to] = [addressAt(family, first), addressAt(family, last)];
  return from === to ? from : `${from}-${to}`;
}

/** In the words of either product. */
function totalIn(status: Json): string | undefined {
  const counts = ['assignedIPv4', 'assignedIPv6', 'availableIPv4', 'availableIPv6'].map((name) => status[name]);
  if (counts.every((count) => typeof count === 'number'))
    return `${counts.reduce((sum, count) => sum + BigInt(count), 0n)}`;
  const conditions = Array.isArray(status['conditions']) ? (status['conditions'] as readonly Json[]) : [];
  const message = conditions.find(({ type }) => type === 'cilium.io/IPsTotal')?.['message'];
  return typeof message === 'string' && /^\d+$/.test(message) ? message : undefined;
}
