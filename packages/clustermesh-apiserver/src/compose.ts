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
import { Addresses } from './addresses/addresses.ts';
import type { ApiserverConfig } from './config.ts';
import { adoptIdentities } from './export/adopt-identities.ts';
import { EntryWriter } from './export/entry-writer.ts';
import { IdentityNumbers } from './export/identity-numbers.ts';
import { NodeExport } from './export/node-export.ts';
import { PodExport } from './export/pod-export.ts';
import { ServiceExport } from './export/service-export.ts';
import { guardEtcd } from './guard.ts';
import { KINDS, type Kind, mapKinds, NEEDS } from './kinds.ts';
import { Leadership } from './leadership.ts';
import { ApiserverMetrics } from './metrics.ts';
import { SourceTrust } from './source-trust.ts';
import { followSources, type SourceTargets } from './sources.ts';

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
  const parts = createParts(config, log, stopping.signal);
  const { writer, control, entries, health, metrics, signal } = parts;
  const { healthHost: host, healthPort: port } = config;
  const server = await serveHealth({ host, port, health, metrics: async () => metrics.registry }).catch(
    (error: unknown) => {
      writer.close();
      throw error;
    },
  );
  const stopClock = startClock(parts);
  const leading = createLeadership(parts, client).run(signal);
  const giving = giveAddresses(parts, client);
  const done = Promise.all([
    leading,
    giving,
    followSources(client, parts, signal, log),
    adopt(parts),
    guardEtcd(config, health, signal, log),
    announceCluster(parts),
    ...KINDS.map((kind) => writeEntries(parts, kind)),
  ]).then(() => {});
  return {
    healthPort: server.port,
    done,
    stop: async () => {
      stopping.abort();
      stopClock();
      await Promise.all([leading, giving]);
      for (const { keyspace } of [...Object.values(entries), { keyspace: control }]) keyspace.close();
      writer.close();
      await Promise.allSettled([done, server.close()]);
      client.close();
    },
  };
}

interface Parts extends SourceTargets {
  readonly config: ApiserverConfig;
  /** Our name among those that export into the same etcd. */
  readonly instance: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly writer: EtcdWriter;
  readonly fence: Fence;
  readonly numbers: IdentityNumbers;
  /** Each with a keyspace of its own, so that a key which etcd refuses holds up no other kind. */
  readonly entries: Readonly<Record<Kind, EntryWriter>>;
  /** For what is no entry. */
  readonly control: Keyspace;
}

function createParts(config: ApiserverConfig, log: Logger, signal: AbortSignal): Parts {
  const startedAt = performance.now();
  const instance = config.instance ?? randomUUID();
  const { cluster, maxClusters, leaseTtlSeconds } = config;
  const health = new HealthTree();
  health.expect(...KINDS);
  const { endpoints, ca, cert, key } = config.etcd;
  const logger = log.child({ room: 'etcd' });
  const writer = connectWriter(
    { endpoints, tls: { ca, cert, key } },
    {
      ...{ leaseTtlSeconds, logger, fence: { key: EXPORTER_KEY, holder: instance } },
      report: (state) => health.report('etcd', state),
      reportSpace: (state) => health.report('etcd space', state),
    },
  );
  const { fence } = writer;
  if (!fence) throw new Error('Cannot export: expected a fence: there is none');
  const trust = new SourceTrust();
  const facts = new LocalFacts(config.defaultGlobalNamespace);
  const numbers = new IdentityNumbers(identityRange(cluster.id, maxClusters));
  const pods = new PodExport(cluster, facts, numbers);
  const services = new ServiceExport(cluster, facts, MAX_VALUE_BYTES, log);
  const nodes = new NodeExport(cluster);
  const sources = { nodes, services, identities: pods.identities, ip: pods };
  const entries = mapKinds(
    (kind) =>
      new EntryWriter({
        ...{ kind, cluster: cluster.name, source: sources[kind], writer, clock: systemClock, log },
        keyspace: new Keyspace(writer, { logger }),
        trusted: (tenure) => trust.in(NEEDS[kind], tenure),
        onComplete: () => {
          health.report(kind, { kind: 'ok' });
          if (KINDS.every((each) => entries[each].complete)) {
            metrics.bootstrapped((performance.now() - startedAt) / 1000);
          }
        },
      }),
  );
  const touched: Parts['touched'] = (source) => {
    for (const kind of KINDS) if (NEEDS[kind].includes(source)) entries[kind].touch();
  };
  const metrics = new ApiserverMetrics({ cluster: cluster.name, entries, services, pods, writer });
  const control = new Keyspace(writer, { logger });
  const exports = { facts, numbers, pods, services, nodes, entries, touched };
  return { ...exports, config, instance, log, signal, health, writer, fence, trust, control, metrics };
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

async function giveAddresses({ config, instance, log, health, signal, metrics }: Parts, client: KubernetesClient) {
  if (!config.loadBalancerAddresses) return;
  const { leaseNamespace, metallbNamespace } = config;
  const addresses = new Addresses({
    client,
    leaseNamespace,
    metallbNamespace,
    instance,
    health,
    clock: systemClock,
    log,
  });
  metrics.addresses(addresses);
  await addresses.run(signal);
}

/** At the start, and each time before we write: another may have given numbers meanwhile. */
async function adopt({ config, log, signal, writer, numbers, trust }: Parts): Promise<void> {
  const asked = new Notifier();
  trust.relistable('identities', () => asked.notify());
  while (!signal.aborted) {
    const { version } = asked;
    await adoptIdentities(writer, numbers, config.cluster, config.maxClusters, signal, log);
    if (!signal.aborted && asked.version === version) trust.complete('identities');
    await asked.changed(version, signal);
  }
}

/** Depends on no source. */
async function announceCluster({ config, control, signal }: Parts): Promise<void> {
  const key = clusterConfigKey(config.cluster.name);
  await unlessClosed(signal, control.adopt(key));
  if (!signal.aborted) control.enforce(key, clusterConfig(config));
}

/** Keeps what is there alive until we may write, and then writes. */
async function writeEntries({ fence, signal, entries }: Parts, kind: Kind): Promise<void> {
  const writer = entries[kind];
  await Promise.race([fence.held(signal), sleep(systemClock, ALONE_MS, signal)]);
  while (!signal.aborted) {
    if (!fence.tenure) await unlessClosed(signal, writer.adopt());
    await fence.held(signal);
    if (fence.tenure) await unlessClosed(signal, writer.lead(fence.tenure));
  }
}

/** A keyspace that is closed as the program ends rejects what is under way. */
async function unlessClosed(signal: AbortSignal, work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** Returns what stops it. */
function startClock({ control, numbers, entries }: Parts): () => void {
  const beat = () => control.set(HEARTBEAT_KEY, encodeTimestamp(Date.now()));
  const sweep = () => {
    numbers.sweep();
    entries.identities.touch();
  };
  const announce = () => {
    for (const kind of KINDS) if (entries[kind].complete) entries[kind].announce();
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
