/**
 * For servers that people ask: a busy port must not keep the agent from its work. Tries until it works, says each reason
 * once, and lets go at the end.
 */
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { reasonOf, retry } from '@tombolo/shared/process/retry.ts';

export interface Closable {
  close(): Promise<void>;
}

export interface PersistOptions {
  readonly log: Logger;
  readonly report: (health: Health) => void;
  /** Before the second try; default 1,000. */
  readonly firstWaitMs?: number | undefined;
  /** Default 30,000. */
  readonly longestWaitMs?: number | undefined;
}

/** Resolves after the first try, whatever came of it; what was opened then or later is closed by `close`. */
export async function persist(open: () => Promise<Closable>, options: PersistOptions): Promise<Closable> {
  const { log, report, firstWaitMs = 1_000, longestWaitMs = 30_000 } = options;
  const stop = new AbortController();
  const tried = Promise.withResolvers<void>();
  let logged = '';
  const attempt = async (): Promise<Closable> => {
    const opened = await open();
    report({ kind: 'ok' });
    tried.resolve();
    return opened;
  };
  const failed = (error: unknown): void => {
    const reason = reasonOf(error);
    if (reason !== logged) log.warn({ reason }, 'Cannot listen; trying again while everything else goes on');
    logged = reason;
    report({ kind: 'degraded', reason });
    tried.resolve();
  };
  const opening = retry(attempt, { signal: stop.signal, first: firstWaitMs, limit: longestWaitMs, failed });
  await tried.promise;
  return {
    close: async () => {
      stop.abort();
      await (await opening)?.close();
    },
  };
}
