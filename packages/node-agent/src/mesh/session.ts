/**
 * One session with one remote cluster, read only: its configuration first, then heartbeat, canaries, Services and nodes
 * until something ends it. What it hears goes to its host, which keeps it beyond the session.
 */
import type { EtcdReader } from '@tombolo/shared/etcd/read/reader.ts';
import type { ClusterIdentity, ClusterName, MaxClusters } from '@tombolo/shared/model/cluster.ts';
import { ok, type Result } from '@tombolo/shared/model/result.ts';
import type { RemoteService } from '@tombolo/shared/model/service.ts';
import { decodeClusterConfig, type WireClusterConfig } from '@tombolo/shared/wire/cluster-config.ts';
import { clusterConfigKey, entryPrefix, HEARTBEAT_KEY, syncedKey, syncedPrefix } from '@tombolo/shared/wire/keys.ts';
import { decodeNode } from '@tombolo/shared/wire/node.ts';
import { remoteServiceDecoder } from '@tombolo/shared/wire/remote-service.ts';
import type { EntryStore } from './entry-store.ts';
import { followKind } from './kind-follower.ts';
import { aborted, Bell, runTogether, type Task } from './tasks.ts';

/** Nodes are counted, and bad entries of them shown. */
export type RemoteNode = string;

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
    const announced = await readConfig(reader, host);
    return signal.aborted ? undefined : await runTogether(tasksOf(reader, host, announced), signal);
  } catch (error) {
    return signal.aborted ? undefined : error;
  }
}

/** What the cluster says of itself, and the bytes that said it. */
interface Announced {
  readonly value: Buffer;
  readonly config: WireClusterConfig;
  readonly identity: ClusterIdentity;
}

async function readConfig(reader: EtcdReader, host: SessionHost): Promise<Announced> {
  const key = clusterConfigKey(host.name);
  const entry = await reader.get(key);
  if (entry === undefined) {
    throw new Error(
      `Cannot read the configuration of cluster "${host.name}": expected key ${key}: it is absent (is the file named for the cluster, and does its apiserver run?)`,
    );
  }
  const config = orThrow(decodeClusterConfig(entry.value, { cluster: host.name, maxClusters: host.maxClusters }));
  return { value: entry.value, config, identity: orThrow(host.configured(config)) };
}

/** With each heartbeat: whoever reads under the old id or layout must start anew. That it is absent says nothing. */
async function watchConfig(
  reader: EtcdReader,
  host: SessionHost,
  { value }: Announced,
  beats: Bell,
  signal: AbortSignal,
) {
  signal.addEventListener('abort', () => beats.ring(), { once: true });
  while (!signal.aborted) {
    await beats.next();
    const entry = signal.aborted ? undefined : await reader.get(clusterConfigKey(host.name));
    if (entry !== undefined && !entry.value.equals(value)) {
      throw new Error(`The configuration of cluster "${host.name}" changed`);
    }
  }
}

function orThrow<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function tasksOf(reader: EtcdReader, host: SessionHost, announced: Announced): readonly Task[] {
  const bell = new Bell();
  const beats = new Bell();
  const { config } = announced;
  const { name: cluster, id: clusterId } = announced.identity;
  const expected = { cluster, clusterId, maxClusters: host.maxClusters, ownId: host.localId };
  const decode = remoteServiceDecoder(expected);
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
    decode: (suffix: string, value: Buffer, revision: string) =>
      decode(suffix, value, { source: 'etcd', revision, at: host.now() }),
    changed: (suffix: string, service: RemoteService | undefined) => host.serviceChanged(suffix, service),
    syncing: () => host.syncing(),
    listed: () => host.listed(),
  };
  const nodes = {
    ...kind('nodes'),
    store: host.nodes,
    decode: (suffix: string, value: Buffer): Result<RemoteNode> => {
      const wire = decodeNode(value, { ...expected, suffix });
      return wire.ok ? ok(wire.value.name) : wire;
    },
    changed: () => host.nodesChanged(),
    syncing: () => {},
    listed: () => host.nodesChanged(),
  };
  return [
    (signal) => followHeartbeat(reader, host, [bell, beats], signal),
    (signal) => watchConfig(reader, host, announced, beats, signal),
    (signal) =>
      config.syncedCanaries ? reader.follow(syncedPrefix(cluster), () => bell.ring(), signal) : aborted(signal),
    (signal) => followKind(services, signal),
    (signal) => followKind(nodes, signal),
    (signal) => host.watchSilence(signal),
  ];
}

function followHeartbeat(
  reader: EtcdReader,
  host: SessionHost,
  bells: readonly Bell[],
  signal: AbortSignal,
): Promise<void> {
  const handle: Parameters<EtcdReader['follow']>[1] = (event) => {
    if (event.kind !== 'put' || event.key !== HEARTBEAT_KEY) return;
    host.heartbeat(`${event.revision} ${event.value.toString()}`);
    for (const bell of bells) bell.ring();
  };
  return reader.follow(HEARTBEAT_KEY, handle, signal);
}
