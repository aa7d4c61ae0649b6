/**
 * The only file that wires rooms: Kubernetes → exports → etcd, with health and metrics beside. Of several exporters to one
 * etcd one writes; the others do everything else, so as to be able to go on at once.
 */
import { randomUUID } from 'node:crypto';
import { connectWriter } from '@tombolo/shared/etcd/connect.ts';
import { Keyspace } from '@tombolo/shared/etcd/keyspace/keyspace.ts';
import type { Fence } from '@tombolo/shared/etcd/write/fence.ts';
import type { EtcdWriter } from '@tombolo/shared/etcd/write/writer.ts';
import { connectKubernetes, type KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import { LocalFacts } from '@tombolo/shared/local/local-facts.ts';
import { every, sleep, systemClock } from '@tombolo/shared/process/clock.ts';
import { HealthTree } from '@tombolo/shared/process/health.ts';
import { serveHealth } from '@tombolo/shared/process/http.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { Notifier } from '@tombolo/shared/process/notifier.ts';
import { encodeClusterConfig } from '@tombolo/shared/wire/cluster-config.ts';
import { identityRange } from '@tombolo/shared/wire/identity.ts';
import { clusterConfigKey, EXPORTER_KEY, HEARTBEAT_KEY } from '@tombolo/shared/wire/keys.ts';
import { encodeTimestamp } from '@tombolo/shared/wire/timestamp.ts';
import { Registry } from 'prom-client';
import type { ApiserverConfig } from './config.ts';
import { adoptIdentities } from './export/adopt-identities.ts';
import type { EntrySource } from './export/entries.ts';
import { IdentityNumbers } from './export/identity-numbers.ts';
import { NodeExport } from './export/node-export.ts';
import { PodExport } from './export/pod-export.ts';
import { Publisher } from './export/publisher.ts';
import { ServiceExport } from './export/service-export.ts';
import { guardEtcd } from './guard.ts';
import { KINDS, type Kind, mapKinds, NEEDS, PART_OF } from './kinds.ts';
import { Leadership } from './leadership.ts';
import { ApiserverMetrics } from './metrics.ts';
import { SourceTrust } from './source-trust.ts';
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
/** Whoever is alone writes by then. */
const ALONE_MS = 500;

/** Throws a sentence for a bad kubeconfig or a health port that is taken. Nobody else has to be reachable. */
export async function startApiserver(config: ApiserverConfig, log: Logger): Promise<Apiserver> {
  const client = connectKubernetes({ kubeconfig: config.kubeconfig });
  const stopping = new AbortController();
  const instance = config.instance ?? randomUUID();
  const parts = createParts(config, instance, log, stopping.signal);
  const { writer, keyspaces, exports, health, metrics, trust } = parts;
  const { healthHost: host, healthPort: port } = config;
  const server = await serveHealth({ host, port, health, metrics: async () => metrics.registry }).catch(
    (error: unknown) => {
      writer.close();
      throw error;
    },
  );
  const publishers = createPublishers(parts);
  const targets: SourceTargets = {
    ...exports,
    touched: (source) => {
      for (const kind of PART_OF[source]) publishers[kind].touch();
    },
    synced: (source) => trust.complete(source),
    refused: (source) => metrics.objectRefused(source),
    report: (source, state) => health.report(`kubernetes/${source}`, state),
    relistable: (source, relist) => trust.relistable(source, relist),
  };
  const stopClock = startClock(parts, publishers);
  const leadership = createLeadership(parts, client);
  const leading = leadership.run(stopping.signal);
  const done = Promise.all([
    leading,
    followSources(client, targets, stopping.signal, log),
    adopt(parts),
    guard(parts),
    control(parts),
    ...KINDS.map((kind) => publish(parts, publishers[kind])),
  ]).then(() => {});
  return {
    healthPort: server.port,
    done,
    stop: async () => {
      stopping.abort();
      stopClock();
      await leading;
      for (const keyspace of Object.values(keyspaces)) keyspace.close();
      writer.close();
      await Promise.allSettled([done, server.close()]);
      client.close();
    },
  };
}

interface Parts {
  readonly config: ApiserverConfig;
  /** Our name among those that export into the same etcd. */
  readonly instance: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly health: HealthTree;
  readonly writer: EtcdWriter;
  readonly fence: Fence;
  readonly trust: SourceTrust;
  readonly exports: Exports;
  /** One for each kind, so that a key which etcd refuses holds up no other kind; `control` for the rest. */
  readonly keyspaces: Readonly<Record<Kind | 'control', Keyspace>>;
  readonly complete: Set<Kind>;
  readonly metrics: ApiserverMetrics;
}

interface Exports {
  readonly facts: LocalFacts;
  readonly numbers: IdentityNumbers;
  readonly pods: PodExport;
  readonly services: ServiceExport;
  readonly nodes: NodeExport;
  readonly entries: Readonly<Record<Kind, EntrySource>>;
}

function createParts(config: ApiserverConfig, instance: string, log: Logger, signal: AbortSignal): Parts {
  const health = new HealthTree();
  health.expect(...KINDS);
  const { endpoints, ca, cert, key } = config.etcd;
  const logger = log.child({ room: 'etcd' });
  const writer = connectWriter(
    { endpoints, tls: { ca, cert, key } },
    {
      leaseTtlSeconds: config.leaseTtlSeconds,
      logger,
      fence: { key: EXPORTER_KEY, holder: instance },
      report: (state) => health.report('etcd', state),
      reportSpace: (state) => health.report('etcd space', state),
    },
  );
  const { fence } = writer;
  if (!fence) throw new Error('Cannot export: expected a fence: there is none');
  const exports = createExports(config);
  const keyspaces = {
    ...mapKinds(() => new Keyspace(writer, { logger })),
    control: new Keyspace(writer, { logger }),
  };
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
  const trust = new SourceTrust();
  return { config, instance, log, signal, health, writer, fence, trust, exports, keyspaces, complete, metrics };
}

function createExports({ cluster, maxClusters, defaultGlobalNamespace }: ApiserverConfig): Exports {
  const facts = new LocalFacts(defaultGlobalNamespace);
  const numbers = new IdentityNumbers(identityRange(cluster.id, maxClusters));
  const pods = new PodExport(cluster, facts, numbers);
  const services = new ServiceExport(cluster, facts, MAX_VALUE_BYTES);
  const nodes = new NodeExport(cluster);
  const entries = { nodes, services, identities: pods.identities, ip: pods };
  return { facts, numbers, pods, services, nodes, entries };
}

function createPublishers(parts: Parts): Readonly<Record<Kind, Publisher>> {
  const { config, log, health, writer, exports, keyspaces, complete, metrics, trust } = parts;
  const startedAt = performance.now();
  const truncations = new TruncationLog(log);
  return mapKinds((kind) => {
    const [source, keyspace] = [exports.entries[kind], keyspaces[kind]];
    const onComplete = () => {
      if (complete.has(kind)) return;
      complete.add(kind);
      log.info({ kind, entries: source.size }, 'All entries of the kind are written');
      health.report(kind, { kind: 'ok' });
      if (complete.size === KINDS.length) metrics.bootstrapped((performance.now() - startedAt) / 1000);
    };
    return new Publisher({
      ...{ kind, cluster: config.cluster.name, source, keyspace, writer, clock: systemClock, log, onComplete },
      trusted: (tenure) => trust.in(NEEDS[kind], tenure),
      onFlushed: kind === 'services' ? () => truncations.report(exports.services.truncated) : () => {},
    });
  });
}

function createLeadership(parts: Parts, client: KubernetesClient): Leadership {
  const { config, instance, log, health, fence, trust } = parts;
  return new Leadership({
    ...{ fence, client, log, clock: systemClock, namespace: config.leaseNamespace, instance },
    report: (state) => health.report('leader election', state),
    writes: (who) => {
      // A standby is ready when it could take over.
      for (const kind of KINDS) if (who === 'another' && trust.has(NEEDS[kind])) health.report(kind, { kind: 'ok' });
    },
  });
}

/** At the start, and each time before we write: another may have given numbers meanwhile. */
async function adopt({ config, log, signal, writer, exports, trust }: Parts): Promise<void> {
  const asked = new Notifier();
  trust.relistable('identities', () => asked.notify());
  while (!signal.aborted) {
    const { version } = asked;
    await adoptIdentities(writer, exports.numbers, config.cluster, config.maxClusters, signal, log);
    if (!signal.aborted && asked.version === version) trust.complete('identities');
    await asked.changed(version, signal);
  }
}

async function guard({ config, log, signal, health }: Parts): Promise<void> {
  const { remoteUser } = config.etcd;
  if (remoteUser === undefined) return;
  health.expect('etcd users');
  await guardEtcd(remoteUser, { config, log, signal, report: (state) => health.report('etcd users', state) });
}

/** What depends on no source. */
async function control({ config, keyspaces, signal }: Parts): Promise<void> {
  const key = clusterConfigKey(config.cluster.name);
  await unlessClosed(signal, keyspaces.control.adopt(key));
  if (!signal.aborted) keyspaces.control.enforce(key, clusterConfig(config));
}

/** Keeps what is there alive until we may write, and then writes. */
async function publish({ fence, signal }: Parts, publisher: Publisher): Promise<void> {
  await Promise.race([fence.held(signal), sleep(systemClock, ALONE_MS, signal)]);
  while (!signal.aborted) {
    if (!fence.tenure) await unlessClosed(signal, publisher.adopt());
    await fence.held(signal);
    if (fence.tenure) await unlessClosed(signal, publisher.lead(fence.tenure));
  }
}

/** A keyspace that is closed as the program ends rejects what is under way. */
async function unlessClosed(signal: AbortSignal, work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
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
  const stops = [
    every(systemClock, HEARTBEAT_MS, beat),
    every(systemClock, HEARTBEAT_MS, sweep),
    every(systemClock, REANNOUNCE_MS, announce),
  ];
  return () => {
    for (const stop of stops) stop();
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
