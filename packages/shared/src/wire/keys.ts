/**
 * Key paths of the ClusterMesh etcd format. Two layouts: `state` is what a cluster says of itself; `cache` is a mirror's
 * copy of what others said, where every kind carries the name of the cluster it came from. Every prefix ends in a slash,
 * so that `east` never matches `east-2` and that ranges stay within what a reader's role may see.
 */
import type { ServiceKey } from '../model/service.ts';

export type Layout = 'state' | 'cache';
export type EntryKind = 'nodes' | 'services' | 'ip' | 'identities' | 'endpointslices' | 'serviceexports';

/** Watched as a prefix: the role of a reader covers exactly `cilium/.heartbeat` to `cilium/.heartbeau`. */
export const HEARTBEAT_KEY = 'cilium/.heartbeat';
/** Who exports into this etcd. Not part of the format: readers of other clusters may not see it. */
export const EXPORTER_KEY = 'tombolo/exporter';
export const CLUSTER_CONFIG_PREFIX = 'cilium/cluster-config/';

export const clusterConfigKey = (cluster: string): string => `${CLUSTER_CONFIG_PREFIX}${cluster}`;

/** What readers list and watch for one kind of entry. */
export function entryPrefix(kind: EntryKind, layout: Layout, cluster: string): string {
  const base = kindBase(kind, layout);
  if (kind === 'ip') return layout === 'state' ? `${base}/default/` : `${base}/${cluster}/`;
  if (kind === 'identities') return layout === 'state' ? `${base}/id/` : `${base}/${cluster}/id/`;
  return `${base}/${cluster}/`;
}

/** `suffix` is `namespace/name`, the node's name, the address (or prefix) or the identity's number. */
export const entryKey = (kind: EntryKind, layout: Layout, cluster: string, suffix: string): string =>
  entryPrefix(kind, layout, cluster) + suffix;

/** What follows the prefix, or undefined when the key is not below it. */
export const suffixOf = (key: string, prefix: string): string | undefined =>
  key.length > prefix.length && key.startsWith(prefix) ? key.slice(prefix.length) : undefined;

/** The suffix of a Service's key is the key that it has in the model. */
export const serviceKeyOfSuffix = (suffix: string): ServiceKey => suffix as ServiceKey;

export const syncedPrefix = (cluster: string): string => `cilium/synced/${cluster}/`;

/** All that another cluster has to read of what `cluster` says of itself: these are the bounds of a reader's role. */
export const readableByOthers = (cluster: string) => ({
  keys: [clusterConfigKey(cluster)],
  prefixes: [HEARTBEAT_KEY, 'cilium/state/', syncedPrefix(cluster)],
});

/** The canary of one kind. Its path has neither `/default` nor `/id` nor the cluster's name after `v1`. */
export const syncedKey = (kind: EntryKind, layout: Layout, cluster: string): string =>
  syncedPrefix(cluster) + kindBase(kind, layout);

const kindBase = (kind: EntryKind, layout: Layout): string => `cilium/${layout}/${kind}/v1`;
