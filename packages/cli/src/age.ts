/** Ages for people: 12s, 3m, 5h, 2d. Two steps of the smaller unit are kept, so that 90 s is not "1m". */
import type { Timestamp } from '@tombolo/proto/generated/tombolo-v1.ts';
import { msFromTimestamp } from '@tombolo/proto/timestamp.ts';

const STEPS = [
  { unit: 's', ms: 1_000, below: 120 },
  { unit: 'm', ms: 60_000, below: 120 },
  { unit: 'h', ms: 3_600_000, below: 48 },
] as const;

/** A time of 0 is unknown: `-`. One in the future (two clocks) is `0s`. */
export function formatAge(at: number, now: number): string {
  if (at === 0) return '-';
  const age = Math.max(0, now - at);
  for (const { unit, ms, below } of STEPS) {
    const count = Math.floor(age / ms);
    if (count < below) return `${count}${unit}`;
  }
  return `${Math.floor(age / 86_400_000)}d`;
}

export const ageOf = (timestamp: Timestamp | null, now: number): string => formatAge(msFromTimestamp(timestamp), now);
