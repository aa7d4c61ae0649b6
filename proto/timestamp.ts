/** google.protobuf.Timestamp from and to milliseconds since the epoch. */
import type { Timestamp } from './generated/tombolo-v1.ts';

/** 0 means never, as in the model, and gives null. */
export function timestampFromMs(ms: number): Timestamp | null {
  if (ms === 0) return null;
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1_000_000) };
}

export const msFromTimestamp = (timestamp: Timestamp | null): number =>
  timestamp ? timestamp.seconds * 1000 + Math.floor(timestamp.nanos / 1_000_000) : 0;
