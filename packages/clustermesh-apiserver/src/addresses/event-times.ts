/** What all Events of ours have. Pure. */
import type { Json } from '@tombolo/shared/kubernetes/json.ts';

/** `now`: RFC 3339, in seconds. */
export const eventTimes = (now: string): Json => ({
  source: { component: 'tombolo' },
  ...{ firstTimestamp: now, lastTimestamp: now, count: 1 },
});

/** RFC 3339 as Kubernetes writes it. `wallTime`: ms since the epoch. */
export const inSeconds = (wallTime: number): string => new Date(wallTime).toISOString().replace(/\.\d+Z$/, 'Z');
