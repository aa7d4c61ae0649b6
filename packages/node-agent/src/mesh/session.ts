/**
 * One session with one remote cluster, read only: its configuration first, then heartbeat, canaries, Services and nodes
 * until something ends it. What it hears goes to its host, which keeps it beyond the session.
 */
import type { EtcdReader } from '@tombolo/shared/etcd/reader.ts';
import type { ClusterIdentity, ClusterName, MaxClusters } from '@tombolo/shared/model/cluster.ts';
import type { Cidr, IpAddress } from '@tombolo/shared/model/ip.ts';
import { ok, type Result } from '@tombolo/shared/model/result.ts';
import type { RemoteService } from '@tombolo/shared/model/service.ts';
import { decodeClusterConfig, type WireClusterConfig } from '@tombolo/shared/wire/cluster-config.ts';
import { nodeAddressesFromWire, podCidrsFromWire, remoteServiceFromWire } from '@tombolo/shared/wire/from-wire.ts';
import { clusterConfigKey, entryPrefix, HEARTBEAT_KEY, syncedKey, syncedPrefix } from '@tombolo/shared/wire/keys.ts';
import { decodeNode } from '@tombolo/shared/wire/node.ts';
import { decodeService } from '@tombolo/shared/wire/service.ts';
import type { EntryStore } from './entry-store.ts';
import { followKind } from './kind-follower.ts';
import { aborted, Bell, runTogether, type Task } from './tasks.ts';

export interface RemoteNode {
  readonly name: string;
  readonly addresses: readonly IpAddress[];
  readonly podCidrs: readonly Cidr[];
}

export interface SessionHost {
  readonly name: ClusterName;
  readonly localId: number;
  readonly maxClusters: MaxClusters;
  readonly services: EntryStore<RemoteService>;
  readonly nodes: EntryStore<RemoteNode>;
  now(): number;
  /** Accepts the id that the cluster announces, or says why not. */
  configured(config: WireClusterConfig): Result<ClusterIdentity>;
  serviceChanged(suffix: string, service: RemoteService | undefined): void;
  nodesChanged(): void;
  refused(key: string, reason: string): void;
  /** A listing of Services is waited for. */
  syncing(): void;
  /** The listing of Services is complete. */
  listed(): void;
  heartbeat(mark: string): void;
  readonly isHeard: boolean;
  /** Rejects when the session has been silent for too long; resolves when the signal aborts. */
  watchSilence(signal: AbortSignal): Promise<void>;
}

/** Answers with what ended it; undefined when the signal did. */
export async function runSession(reader: EtcdReader, host: SessionHost, signal: AbortSignal): Promise<unknown> {
  try {
    const { config, identity } = await readConfig(reader, host);
    return signal.aborted ? undefined : await runTogether(tasksOf(reader, host, config, identity), signal);
  } catch (error) {
    return signal.aborted ? undefined : error;
  }
}

async function readConfig(reader: EtcdReader, host: SessionHost) {
  const key = clusterConfigKey(host.name);
  const entry = await reader.get(key);
  if (entry === undefined) {
    throw new Error(
      `Cannot read the configuration of cluster "${host.name}": expected key ${key}: it is absent (is the file named for the cluster, and does its apiserver run?)`,
    );
  }
  const config = orThrow(decodeClusterConfig(entry.value, { cluster: host.name, maxClusters: host.maxClusters }));
  return { config, identity: orThrow(host.configured(config)) };
}

function orThrow<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function tasksOf(
  reader: EtcdReader,
  host: SessionHost,
  config: WireClusterConfig,
  { name: cluster, id: clusterId }: ClusterIdentity,
): readonly Task[] {
  const bell = new Bell();
  const expected = { cluster, clusterId, maxClusters: host.maxClusters, ownId: host.localId };
  const kind = (each: 'services' | 'nodes') => {
    const layout = config.cached ? 'cache' : 'state';
    return {
      reader,
      bell,
      prefix: entryPrefix(each, layout, cluster),
      canaryKey: config.syncedCanaries ? syncedKey(each, layout, cluster) : undefined,
      refused: (key: string, reason: string) => host.refused(key, reason),
      isHeard: () => host.isHeard,
      now: () => host.now(),
    };
  };
  const services = {
    ...kind('services'),
    store: host.services,
    decode: (suffix: string, value: Buffer, revision: string) => {
      const wire = decodeService(value, { ...expected, suffix });
      return wire.ok ? ok(remoteServiceFromWire(wire.value, { source: 'etcd', revision, at: host.now() })) : wire;
    },
    changed: (suffix: string, service: RemoteService | undefined) => host.serviceChanged(suffix, service),
    syncing: () => host.syncing(),
    listed: () => host.listed(),
  };
  const nodes = {
    ...kind('nodes'),
    store: host.nodes,
    decode: (suffix: string, value: Buffer): Result<RemoteNode> => {
      const wire = decodeNode(value, { ...expected, suffix });
      if (!wire.ok) return wire;
      const { name } = wire.value;
      return ok({ name, addresses: nodeAddressesFromWire(wire.value), podCidrs: podCidrsFromWire(wire.value) });
    },
    changed: () => host.nodesChanged(),
    syncing: () => {},
    listed: () => host.nodesChanged(),
  };
  return [
    (signal) => followHeartbeat(reader, host, bell, signal),
    (signal) =>
      config.syncedCanaries ? reader.follow(syncedPrefix(cluster), () => bell.ring(), signal) : aborted(signal),
    (signal) => followKind(services, signal),
    (signal) => followKind(nodes, signal),
    (signal) => host.watchSilence(signal),
  ];
}

function followHeartbeat(reader: EtcdReader, host: SessionHost, bell: Bell, signal: AbortSignal): Promise<void> {
  const handle: Parameters<EtcdReader['follow']>[1] = (event) => {
    if (event.kind !== 'put' || event.key !== HEARTBEAT_KEY) return;
    host.heartbeat(`${event.revision} ${event.value.toString()}`);
    bell.ring();
  };
  return reader.follow(HEARTBEAT_KEY, handle, signal);
}
