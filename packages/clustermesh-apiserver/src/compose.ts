/** The only file that wires rooms: Kubernetes → exports → etcd, with health and metrics beside. */
import { connectWriter } from '@tombolo/shared/etcd/connect.ts';
import { type Keyspace, openKeyspace } from '@tombolo/shared/etcd/keyspace/keyspace.ts';
import type { EtcdWriter } from '@tombolo/shared/etcd/write/writer.ts';
import { connectKubernetes } from '@tombolo/shared/kubernetes/client.ts';
import { HealthTree } from '@tombolo/shared/process/health.ts';
import { serveHealth } from '@tombolo/shared/process/http.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { encodeClusterConfig } from '@tombolo/shared/wire/cluster-config.ts';
import { identityRange } from '@tombolo/shared/wire/identity.ts';
import { clusterConfigKey, HEARTBEAT_KEY } from '@tombolo/shared/wire/keys.ts';
import { encodeTimestamp } from '@tombolo/shared/wire/timestamp.ts';
import { Registry } from 'prom-client';
import type { ApiserverConfig } from './config.ts';
import { adoptIdentities } from './export/adopt-identities.ts';
import type { EntrySource } from './export/entries.ts';
import { IdentityNumbers } from './export/identity-numbers.ts';
import { Namespaces } from './export/namespaces.ts';
import { NodeExport } from './export/node-export.ts';
import { PodExport } from './export/pod-export.ts';
import { Publisher } from './export/publisher.ts';
import { ServiceExport } from './export/service-export.ts';
import { Gate } from './gate.ts';
import { guardEtcd } from './guard.ts';
import { KINDS, type Kind, mapKinds, NEEDS, type Need, PART_OF } from './kinds.ts';
import { ApiserverMetrics } from './metrics.ts';
import { followSources, type SourceTargets } from './sources.ts';
import { TruncationLog } from './truncations.ts';

export interface Apiserver {
  readonly healthPort: number;
  /** Rejects on a fault of our own; resolves after `stop`. */
  readonly done: Promise<void>;
  /** Stops all work. What is in etcd stays there. */
  stop(): Promise<void>;
}

/** etcd's `--max-request-bytes` by default, less room for the key and the frame. */
const MAX_VALUE_BYTES = 1_572_864 - 4096;
const HEARTBEAT_MS = 60_000;
const REANNOUNCE_MS = 300_000;

/** Throws a sentence for a bad kubeconfig or a health port that is taken. Nobody else has to be reachable. */
export async function startApiserver(config: ApiserverConfig, log: Logger): Promise<Apiserver> {
  const client = connectKubernetes({ kubeconfig: config.kubeconfig });
  const stopping = new AbortController();
  const parts = createParts(config, log, stopping.signal);
  const { writer, keyspaces, exports, health, metrics } = parts;
  const { healthHost: host, healthPort: port } = config;
  const server = await serveHealth({ host, port, health, metrics: async () => metrics.registry }).catch(
    (error: unknown) => {
      writer.close();
      throw error;
    },
  );
  const gate = new Gate<Need>();
  const publishers = createPublishers(parts);
  const targets: SourceTargets = {
    ...exports,
    touched: (source) => {
      for (const kind of PART_OF[source]) publishers[kind].touch();
    },
    synced: (source) => gate.open(source),
    refused: (source) => metrics.objectRefused(source),
    report: (source, state) => health.report(`kubernetes/${source}`, state),
  };
  keyspaces.control.enforce(clusterConfigKey(config.cluster.name), clusterConfig(config));
  const stopClock = startClock(parts, publishers);
  const done = Promise.all([
    followSources(client, targets, stopping.signal, log),
    adopt(parts, gate),
    guard(parts),
    ...KINDS.map((kind) => publish(publishers[kind], gate, kind, stopping.signal)),
  ]).then(() => {});
  return {
    healthPort: server.port,
    done,
    stop: async () => {
      stopping.abort();
      stopClock();
      for (const keyspace of Object.values(keyspaces)) keyspace.close();
      writer.close();
      await Promise.allSettled([done, server.close()]);
      client.close();
    },
  };
}

interface Parts {
  readonly config: ApiserverConfig;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly health: HealthTree;
  readonly writer: EtcdWriter;
  readonly exports: Exports;
  /** One for each kind, so that a key which etcd refuses holds up no other kind; `control` for the rest. */
  readonly keyspaces: Readonly<Record<Kind | 'control', Keyspace>>;
  readonly complete: Set<Kind>;
  readonly metrics: ApiserverMetrics;
}

interface Exports {
  readonly namespaces: Namespaces;
  readonly numbers: IdentityNumbers;
  readonly pods: PodExport;
  readonly services: ServiceExport;
  readonly nodes: NodeExport;
  readonly entries: Readonly<Record<Kind, EntrySource>>;
}

function createParts(config: ApiserverConfig, log: Logger, signal: AbortSignal): Parts {
  const health = new HealthTree();
  health.expect(...KINDS);
  const { endpoints, ca, cert, key } = config.etcd;
  const logger = log.child({ room: 'etcd' });
  const writer = connectWriter(
    { endpoints, tls: { ca, cert, key } },
    { leaseTtlSeconds: config.leaseTtlSeconds, logger, report: (state) => health.report('etcd', state) },
  );
  const exports = createExports(config);
  const keyspaces = { ...mapKinds(() => openKeyspace(writer, { logger })), control: openKeyspace(writer, { logger }) };
  const complete = new Set<Kind>();
  const metrics = new ApiserverMetrics(new Registry(), {
    cluster: config.cluster.name,
    scopes: () =>
      KINDS.map((kind) => ({
        scope: `${kind}/v1`,
        keyspace: keyspaces[kind],
        entries: exports.entries[kind].size,
        complete: complete.has(kind),
      })),
    truncatedServices: () => exports.services.truncated.size,
    podsWithoutIdentity: () => exports.pods.withoutIdentity.size,
    leases: () => writer.leases,
  });
  return { config, log, signal, health, writer, exports, keyspaces, complete, metrics };
}

function createExports({ cluster, maxClusters, defaultGlobalNamespace }: ApiserverConfig): Exports {
  const namespaces = new Namespaces(defaultGlobalNamespace);
  const numbers = new IdentityNumbers(identityRange(cluster.id, maxClusters));
  const pods = new PodExport(cluster, namespaces, numbers);
  const services = new ServiceExport(cluster, namespaces, MAX_VALUE_BYTES);
  const nodes = new NodeExport(cluster);
  const entries = { nodes, services, identities: pods.identities, ip: pods };
  return { namespaces, numbers, pods, services, nodes, entries };
}

function createPublishers(parts: Parts): Readonly<Record<Kind, Publisher>> {
  const { config, log, signal, health, writer, exports, keyspaces, complete, metrics } = parts;
  const startedAt = performance.now();
  const truncations = new TruncationLog(log);
  return mapKinds((kind) => {
    const onComplete = () => {
      complete.add(kind);
      health.report(kind, { kind: 'ok' });
      if (complete.size === KINDS.length) metrics.bootstrapped((performance.now() - startedAt) / 1000);
    };
    const onFlushed = kind === 'services' ? () => truncations.report(exports.services.truncated) : () => {};
    const [source, keyspace] = [exports.entries[kind], keyspaces[kind]];
    return new Publisher({
      kind,
      cluster: config.cluster.name,
      source,
      keyspace,
      writer,
      log,
      signal,
      onComplete,
      onFlushed,
    });
  });
}

async function adopt({ config, log, signal, writer, exports }: Parts, gate: Gate<Need>): Promise<void> {
  await adoptIdentities(writer, exports.numbers, config.cluster, config.maxClusters, signal, log);
  if (!signal.aborted) gate.open('identities');
}

async function guard({ config, log, signal, health }: Parts): Promise<void> {
  const { remoteUser } = config.etcd;
  if (remoteUser === undefined) return;
  health.expect('etcd users');
  await guardEtcd(remoteUser, { config, log, signal, report: (state) => health.report('etcd users', state) });
}

async function publish(publisher: Publisher, gate: Gate<Need>, kind: Kind, signal: AbortSignal): Promise<void> {
  await gate.opened(NEEDS[kind], signal);
  if (signal.aborted) return;
  await publisher.begin().catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** Returns what stops it. */
function startClock(
  { keyspaces, exports, complete }: Parts,
  publishers: Readonly<Record<Kind, Publisher>>,
): () => void {
  const beat = () => keyspaces.control.set(HEARTBEAT_KEY, encodeTimestamp(Date.now()));
  const sweep = () => {
    exports.numbers.sweep();
    publishers.identities.touch();
  };
  const announce = () => {
    for (const kind of complete) publishers[kind].announce();
  };
  beat();
  const timers = [
    setInterval(beat, HEARTBEAT_MS),
    setInterval(sweep, HEARTBEAT_MS),
    setInterval(announce, REANNOUNCE_MS),
  ];
  return () => {
    for (const timer of timers) clearInterval(timer);
  };
}

const clusterConfig = ({ cluster, maxClusters }: ApiserverConfig): string =>
  encodeClusterConfig({
    id: cluster.id,
    syncedCanaries: true,
    cached: false,
    maxConnectedClusters: maxClusters,
    endpointSlicesExportMode: '',
  });
