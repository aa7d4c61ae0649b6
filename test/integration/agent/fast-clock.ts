/** A clock of the system by which minutes pass in seconds. */
import { type Clock, systemClock } from '@tombolo/shared/process/clock.ts';

const TIMES = 20;

export const FAST: Clock = {
  now: () => TIMES * systemClock.now(),
  wallTime: () => systemClock.wallTime(),
  after: (ms, run) => systemClock.after(ms / TIMES, run),
};
