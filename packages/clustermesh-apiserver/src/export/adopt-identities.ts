/** Takes over the identity numbers that whoever wrote before gave, so that a restart gives nobody another number. */
import type { EtcdWriter } from '@tombolo/shared/etcd/write/writer.ts';
import type { ClusterIdentity, MaxClusters } from '@tombolo/shared/model/cluster.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { retry } from '@tombolo/shared/process/retry.ts';
import { decodeIdentity, encodeIdentity } from '@tombolo/shared/wire/identity.ts';
import { entryPrefix } from '@tombolo/shared/wire/keys.ts';
import type { IdentityNumbers } from './identity-numbers.ts';

/** Goes on until etcd answers, or `signal` aborts. */
export async function adoptIdentities(
  writer: Pick<EtcdWriter, 'list'>,
  numbers: IdentityNumbers,
  cluster: ClusterIdentity,
  maxClusters: MaxClusters,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const prefix = entryPrefix('identities', 'state', cluster.name);
  const failed = (error: unknown) => log.debug({ error }, 'Cannot read identities yet');
  const listing = await retry(() => writer.list(prefix), { signal, first: 200, limit: 10_000, failed });
  for (const [key, value] of listing?.entries ?? []) {
    const suffix = key.slice(prefix.length);
    const expected = { suffix, cluster: cluster.name, clusterId: cluster.id, maxClusters };
    const decoded = decodeIdentity(value, expected);
    if (decoded.ok) numbers.adopt(decoded.value.id, encodeIdentity(decoded.value));
    else log.warn({ key, reason: decoded.error }, 'Identity in etcd is not taken over');
  }
}
