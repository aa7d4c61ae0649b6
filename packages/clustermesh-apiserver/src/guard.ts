/**
 * Keeps our etcd closed to all but us and one reader. It is asked again and again, not only at the start, so that an
 * etcd which was put in place of another is closed too.
 */
import { restrictEtcd } from '@tombolo/shared/etcd/connect.ts';
import { sleep, systemClock } from '@tombolo/shared/process/clock.ts';
import type { HealthTree } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { AGAIN, reasonOf, retry } from '@tombolo/shared/process/retry.ts';
import { readableByOthers } from '@tombolo/shared/wire/keys.ts';
import type { ApiserverConfig } from './config.ts';

const PART = 'etcd users';
const AGAIN_MS = 60_000;

/** Resolves when `signal` aborts. Reports nothing before others cannot write: nobody should be let in until then. */
export async function guardEtcd(
  { cluster, etcd }: ApiserverConfig,
  health: HealthTree,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const { endpoints, ca, cert, key, remoteUser: user } = etcd;
  if (user === undefined) return;
  health.expect(PART);
  const access = { user, ...readableByOthers(cluster.name) };
  let hasBeenClosed = false;
  let isFailing: boolean | undefined;
  const attempt = async () => {
    await restrictEtcd({ endpoints, tls: { ca, cert, key } }, access);
    if (isFailing !== false) log.info({ user }, 'etcd is closed to all but us and this reader');
    isFailing = false;
    hasBeenClosed = true;
    health.report(PART, { kind: 'ok' });
    await sleep(systemClock, AGAIN_MS, signal);
    return AGAIN;
  };
  const failed = (error: unknown) => {
    if (error === undefined) return;
    const reason = reasonOf(error);
    if (isFailing !== true) log.warn({ reason }, 'Cannot see to it that others only read from etcd');
    if (hasBeenClosed) health.report(PART, { kind: 'degraded', reason });
    isFailing = true;
  };
  await retry(attempt, { signal, first: 200, limit: 10_000, heldMs: AGAIN_MS / 2, failed });
}
