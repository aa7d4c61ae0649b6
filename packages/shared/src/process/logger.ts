/**
 * Structured logging: `msg` is a fixed sentence for people, values go into fields, never into the sentence. pino behind
 * four methods, so that nothing else depends on it.
 */
import { pino } from 'pino';

export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(fields: LogFields, msg: string): void;
  info(fields: LogFields, msg: string): void;
  warn(fields: LogFields, msg: string): void;
  error(fields: LogFields, msg: string): void;
  /** The same logger with fields bound to every line. */
  child(fields: LogFields): Logger;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
/** The default first. */
export const LOG_LEVELS: readonly [LogLevel, ...LogLevel[]] = ['info', 'debug', 'warn', 'error'];

/** JSON lines on standard error. An `error` field prints its message, stack and causes. */
export function createLogger(program: string, level: LogLevel = 'info'): Logger {
  return pino(
    {
      level,
      base: { program },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.errWithCause },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}

export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
