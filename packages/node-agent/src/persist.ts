/**
 * For servers that people ask: a busy port must not keep the agent from its work. Tries until it works, says each reason
 * once, and lets go at the end.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { backoff } from '@tombolo/shared/process/backoff.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';

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
  let opened: Closable | undefined;
  let said = '';
  const attempt = async (): Promise<boolean> => {
    try {
      opened = await open();
      report({ kind: 'ok' });
      return true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== said) log.warn({ reason }, 'Cannot listen; trying again while everything else goes on');
      said = reason;
      report({ kind: 'degraded', reason });
      return false;
    }
  };
  const persevere = async (): Promise<void> => {
    for (let wait = backoff({ first: firstWaitMs, limit: longestWaitMs }); !stop.signal.aborted; wait = wait.next()) {
      await sleep(wait.delay, undefined, { signal: stop.signal }).catch(() => {});
      if (stop.signal.aborted || (await attempt())) return;
    }
  };
  const later = (await attempt()) ? Promise.resolve() : persevere();
  return {
    close: async () => {
      stop.abort();
      await later;
      await opened?.close();
    },
  };
}
