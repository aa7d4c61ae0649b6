/**
 * Whether another cluster still has a pod or a node at an address: asked of its etcd when somebody wants to know, since
 * nobody needs to follow all pods of all clusters for that.
 */
import type { EtcdReader } from '@tombolo/shared/etcd/read/reader.ts';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import type { WireClusterConfig } from '@tombolo/shared/wire/cluster-config.ts';
import { ipEntrySuffix } from '@tombolo/shared/wire/ip-entry.ts';
import { entryKey, syncedKey } from '@tombolo/shared/wire/keys.ts';
import type { RemoteFacts } from './remote-facts.ts';

/** Undefined when the cluster does not say. */
export type AddressLookup = (address: IpAddress) => Promise<boolean | undefined>;

const PATIENCE_MS = 5_000;

export function lookUpWith(reader: EtcdReader, facts: RemoteFacts, config: WireClusterConfig): AddressLookup {
  const layout = config.cached ? 'cache' : 'state';
  const { name } = facts;
  return async (address) => {
    if (!isTrusted(facts)) return undefined;
    const entry = await reader.get(entryKey('ip', layout, name, ipEntrySuffix({ ip: address })), PATIENCE_MS);
    if (entry !== undefined) return true;
    // Pods in their node's network have no entry of their own.
    if ([...facts.nodes.values.values()].some(({ addresses }) => addresses.includes(address))) return true;
    // That it is absent says something only where all is written; looked at afterwards, lest it be so only since.
    const canary = config.syncedCanaries ? await reader.get(syncedKey('ip', layout, name), PATIENCE_MS) : true;
    return canary === undefined || !isTrusted(facts) ? undefined : false;
  };
}

/** Heard, and complete, and not of an older state. */
const isTrusted = (facts: RemoteFacts): boolean =>
  facts.isHeard && facts.status.control === 'heard' && facts.services.outdated === 0;
