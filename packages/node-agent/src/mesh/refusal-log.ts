/** Refused entries in the log: the first few of each minute, then how many more there were. The status has them all. */
import type { Clock } from '@tombolo/shared/process/clock.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';

const LINES = 5;
const PERIOD_MS = 60_000;

export class RefusalLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  #count = 0;
  #end: (() => void) | undefined;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  refused(key: string, reason: string): void {
    this.#end ??= this.#clock.after(PERIOD_MS, () => this.#endPeriod());
    if (++this.#count <= LINES) this.#log.warn({ key, reason }, 'Remote entry refused');
  }

  close(): void {
    this.#end?.();
    this.#end = undefined;
  }

  #endPeriod(): void {
    const more = this.#count - LINES;
    this.#count = 0;
    this.#end = undefined;
    if (more > 0) this.#log.warn({ more }, 'More remote entries refused: status has them all');
  }
}
