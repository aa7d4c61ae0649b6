/**
 * One session with one remote cluster, read only: its configuration first, then heartbeat, canaries, Services and nodes
 * until something ends it. What it hears goes to the cluster's facts, which stay beyond the session.
 *
 * S1. A configuration that is refused, also one that comes during a session, changes nothing of what is known.
 * S2. A failed call does not end a session; what is beyond repair ends its watches.
 */
import type { EtcdReader } from '@tombolo/shared/etcd/read/reader.ts';
import type { ClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import { ok, type Result } from '@tombolo/shared/model/result.ts';
import type { RemoteService } from '@tombolo/shared/model/service.ts';
import { aborted, Notifier } from '@tombolo/shared/process/notifier.ts';
import { decodeClusterConfig, type WireClusterConfig } from '@tombolo/shared/wire/cluster-config.ts';
import { clusterConfigKey, entryPrefix, HEARTBEAT_KEY, syncedKey, syncedPrefix } from '@tombolo/shared/wire/keys.ts';
import { decodeNode } from '@tombolo/shared/wire/node.ts';
import { remoteServiceDecoder } from '@tombolo/shared/wire/remote-service.ts';
import { type AddressLookup, lookUpWith } from './address-lookup.ts';
import type { FairWork } from './fair-work.ts';
import { followKind, getPatiently, type KindFollowerOptions } from './kind-follower.ts';
import type { RemoteFacts, RemoteNode } from './remote-facts.ts';
import { runTogether, type Task } from './together.ts';

/** Resolves when the signal aborts; otherwise rejects with what ended it. `accepted`: the configuration was. */
export async function runSession(
  reader: EtcdReader,
  facts: RemoteFacts,
  work: FairWork,
  signal: AbortSignal,
  accepted: (addresses: AddressLookup) => void = () => {},
): Promise<void> {
  const announced = await readConfig(reader, facts);
  if (signal.aborted) return;
  accepted(lookUpWith(reader, facts, announced.config));
  const error = await runTogether(tasksOf(reader, facts, work, announced), signal);
  if (error !== undefined) throw error;
}

/** What the cluster says of itself, and the bytes that said it. */
interface Announced {
  readonly value: Buffer;
  readonly config: WireClusterConfig;
  readonly identity: ClusterIdentity;
}

/** Whoever does not answer by then cannot be reached, and is shown so. */
const FIRST_ANSWER_MS = 10_000;

async function readConfig(reader: EtcdReader, facts: RemoteFacts): Promise<Announced> {
  const { name, maxClusters } = facts;
  const key = clusterConfigKey(name);
  const entry = await reader.get(key, FIRST_ANSWER_MS);
  if (entry === undefined) {
    throw new Error(
      `Cannot read the configuration of cluster "${name}": expected key ${key}: it is absent (is the file named for the cluster, and does its apiserver run?)`,
    );
  }
  const config = orThrow(decodeClusterConfig(entry.value, { cluster: name, maxClusters }));
  if (config.endpointSlicesExportMode === 'endpointslices-only') {
    throw new Error(
      `Cannot use cluster "${name}": it exports its backends as EndpointSlices only, which is not supported yet: expected endpointSlicesExportMode "services-and-endpointslices" or none`,
    );
  }
  return { value: Buffer.from(entry.value), config, identity: orThrow(facts.configured(config.id)) };
}

/** With each sign of life: whoever reads under the old id or layout must start anew. That it is absent says nothing. */
async function watchConfig(
  reader: EtcdReader,
  facts: RemoteFacts,
  { value }: Announced,
  signs: Notifier,
  signal: AbortSignal,
): Promise<void> {
  for (let seen = signs.version; !signal.aborted; ) {
    await signs.changed(seen, signal);
    seen = signs.version;
    const entry = await getPatiently({ reader, clock: facts.clock }, clusterConfigKey(facts.name), signal);
    if (entry !== undefined && !entry.value.equals(value) && !signal.aborted) {
      throw new Error(`The configuration of cluster "${facts.name}" changed`);
    }
  }
}

function orThrow<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function tasksOf(reader: EtcdReader, facts: RemoteFacts, work: FairWork, announced: Announced): readonly Task[] {
  /** Something of the heartbeat or of the canaries came. */
  const signs = new Notifier();
  const { config } = announced;
  const { name: cluster, id: clusterId } = announced.identity;
  const expected = { cluster, clusterId, maxClusters: facts.maxClusters, ownId: facts.localId };
  const { clock } = facts;
  const kind = (each: 'services' | 'nodes') => {
    const layout = config.cached ? 'cache' : 'state';
    return {
      reader,
      signs,
      work,
      clock,
      prefix: entryPrefix(each, layout, cluster),
      canaryKey: config.syncedCanaries ? syncedKey(each, layout, cluster) : undefined,
      refused: (key: string, reason: string) => facts.refused(key, reason),
      flush: () => facts.flush(),
      isHeard: () => facts.isHeard,
    };
  };
  const decode = remoteServiceDecoder(expected);
  const services: KindFollowerOptions<RemoteService> = {
    ...kind('services'),
    store: facts.services,
    decode: (suffix, value, revision) =>
      decode(suffix, value, { source: 'etcd', revision, at: clock.wallTime() }, facts.services.values.get(suffix)),
    changed: (suffix, service) => facts.serviceChanged(suffix, service),
    syncing: () => facts.syncing(),
    canary: (isThere) => facts.canary(isThere),
    listed: () => facts.listed(),
  };
  const nodes: KindFollowerOptions<RemoteNode> = {
    ...kind('nodes'),
    store: facts.nodes,
    decode: (suffix, value) => {
      const wire = decodeNode(value, { ...expected, suffix });
      if (!wire.ok) return wire;
      const addresses = (wire.value.addresses ?? []).flatMap(({ ip }) => (ip === '' ? [] : [ip]));
      return ok({ name: wire.value.name, addresses });
    },
    changed: () => {},
    syncing: () => {},
    canary: () => {},
    listed: () => {},
  };
  return [
    (signal) => followHeartbeat(reader, facts, signs, signal),
    (signal) => watchConfig(reader, facts, announced, signs, signal),
    (signal) =>
      config.syncedCanaries ? reader.follow(syncedPrefix(cluster), () => signs.notify(), signal) : aborted(signal),
    (signal) => followKind(services, signal),
    (signal) => followKind(nodes, signal),
    (signal) => facts.watchSilence(signal),
  ];
}

function followHeartbeat(reader: EtcdReader, facts: RemoteFacts, signs: Notifier, signal: AbortSignal): Promise<void> {
  const handle: Parameters<EtcdReader['follow']>[1] = (event) => {
    if (event.kind !== 'put' || event.key !== HEARTBEAT_KEY) return;
    facts.heartbeat(`${event.revision} ${event.value.toString()}`);
    signs.notify();
  };
  return reader.follow(HEARTBEAT_KEY, handle, signal);
}
