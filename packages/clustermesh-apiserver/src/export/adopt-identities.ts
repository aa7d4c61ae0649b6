/** Takes over the identity numbers that an earlier life wrote, so that a restart gives nobody another number. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdWriter } from '@tombolo/shared/etcd/write/writer.ts';
import type { ClusterIdentity, MaxClusters } from '@tombolo/shared/model/cluster.ts';
import { backoff } from '@tombolo/shared/process/backoff.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { decodeIdentity, encodeIdentity } from '@tombolo/shared/wire/identity.ts';
import { entryPrefix } from '@tombolo/shared/wire/keys.ts';
import type { IdentityNumbers } from './identity-numbers.ts';

/** Goes on until etcd answers, or `signal` aborts. */
export async function adoptIdentities(
  writer: EtcdWriter,
  numbers: IdentityNumbers,
  cluster: ClusterIdentity,
  maxClusters: MaxClusters,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const prefix = entryPrefix('identities', 'state', cluster.name);
  for (let wait = backoff({ first: 200, limit: 10_000 }); !signal.aborted; wait = wait.next()) {
    try {
      const { entries } = await writer.list(prefix);
      for (const [key, value] of entries) {
        const suffix = key.slice(prefix.length);
        const expected = { suffix, cluster: cluster.name, clusterId: cluster.id, maxClusters };
        const decoded = decodeIdentity(value, expected);
        if (decoded.ok) numbers.adopt(decoded.value.id, encodeIdentity(decoded.value));
        else log.warn({ key, reason: decoded.error }, 'Identity in etcd is not taken over');
      }
      return;
    } catch (error) {
      if (!signal.aborted) log.debug({ error }, 'Cannot read identities yet');
    }
    await sleep(wait.delay, undefined, { signal }).catch(() => {});
  }
}
