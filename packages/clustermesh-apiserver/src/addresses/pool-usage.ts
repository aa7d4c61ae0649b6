/** How many addresses a pool has, and how many of them are given. Pure. */
import type { AddressPool } from '@tombolo/shared/model/address-pool.ts';
import { type AddressRange, apart } from '@tombolo/shared/model/address-range.ts';
import type { IpFamily } from '@tombolo/shared/model/ip.ts';
import type { ReservedAddresses } from '@tombolo/shared/model/reserved-addresses.ts';

/** Of one family. */
export interface Usage {
  /** Services have them. */
  readonly used: number;
  /** Could be given to somebody. */
  readonly available: bigint;
}

export type PoolUsage = Readonly<Record<IpFamily, Usage>>;

/** So many could be given if nobody had one: what it has, each once, without what nobody gets. */
export function capacityOf(pool: AddressPool, family: IpFamily, reserved: ReservedAddresses): bigint {
  let count = 0n;
  for (const range of apart(pool.ranges.filter((each) => each.family === family))) {
    let next = range.first;
    for (const { first, last } of reserved.rangesIn(range)) {
      if (first > next) count += countOf(pool, { family, first: next, last: first - 1n });
      next = last + 1n;
    }
    if (next <= range.last) count += countOf(pool, { ...range, first: next });
  }
  return count;
}

/** Whether a pool passes over an address of its own. */
export const isPassedOver = ({ avoidsBuggyIps }: AddressPool, family: IpFamily, number: bigint): boolean =>
  avoidsBuggyIps && family === 4 && (number % 256n === 0n || number % 256n === 255n);

function countOf({ avoidsBuggyIps }: AddressPool, { family, first, last }: AddressRange): bigint {
  const all = last - first + 1n;
  return avoidsBuggyIps && family === 4 ? all - buggyUpTo(last) + buggyUpTo(first - 1n) : all;
}

/** Numbers from 0 to this one that end in 0 or 255. */
const buggyUpTo = (number: bigint): bigint =>
  number < 0n ? 0n : (number / 256n) * 2n + 1n + (number % 256n === 255n ? 1n : 0n);
