/** A logger that keeps its lines, for tests that ask what a program said. */
import type { LogFields, Logger } from '@tombolo/shared/process/logger.ts';

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly fields: LogFields;
}

/** Lines go to the end of `into`. */
export function recordingLogger(into: LogLine[], bound: LogFields = {}): Logger {
  const write = (level: string) => (fields: LogFields, msg: string) =>
    void into.push({ level, msg, fields: { ...bound, ...fields } });
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => recordingLogger(into, { ...bound, ...fields }),
  };
}
