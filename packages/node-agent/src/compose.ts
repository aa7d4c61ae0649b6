/**
 * Wires the agent's rooms together; nothing else does. The core (`core.ts`) gets the local cluster's facts
 * and the mesh's, and the kernel and a file to write to; the API, the metrics and the health servers show what it knows.
 */
import type { RequestListener } from 'node:http';
import { connectReader } from '@tombolo/shared/etcd/connect.ts';
import { connectKubernetes, type KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import type { KubernetesNode } from '@tombolo/shared/kubernetes/node-object.ts';
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ClusterStatus } from '@tombolo/shared/model/service-table.ts';
import { type Health, HealthTree } from '@tombolo/shared/process/health.ts';
import { serveHealth, serveHttp } from '@tombolo/shared/process/http.ts';
import { type Hook, Lifecycle } from '@tombolo/shared/process/lifecycle.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { aborted } from '@tombolo/shared/process/notifier.ts';
import type { Registry } from 'prom-client';
import { serveApi } from './api/serve.ts';
import type { ApiSource } from './api/source.ts';
import type { AgentConfig } from './config.ts';
import { AgentCore } from './core.ts';
import { type OpenedDatapath, openDatapath, readDatapath } from './datapath/open.ts';
import { answerProxy } from './health/answers.ts';
import { LONGEST_WAIT_MS, send, serveHealthChecks } from './health/check-ports.ts';
import { ProxyHealth } from './health/proxy-health.ts';
import { startMesh } from './mesh/mesh.ts';
import { claimNode } from './only-agent.ts';
import { type Closable, persist } from './persist.ts';
import { readStateFile, StateFile } from './state-file.ts';
import { followLocalCluster } from './table/local-cluster.ts';
import { localStatus } from './table/local-status.ts';
import type { Author } from './table/saved-state.ts';
import { VERSION } from './version.ts';

/** What the rooms share. */
interface Parts {
  readonly config: AgentConfig;
  readonly log: Logger;
  readonly startedAt: number;
  readonly health: HealthTree;
  readonly client: KubernetesClient;
  readonly datapath: OpenedDatapath;
  readonly core: AgentCore;
  readonly proxy: ProxyHealth;
}

/**
 * Runs until `signal` aborts. Rejects when the kernel, the kubeconfig or the node cannot be had, or when a part ended
 * that never should; everything else is retried while the agent runs.
 */
export async function runAgent(config: AgentConfig, log: Logger, signal: AbortSignal): Promise<void> {
  const claim = await claimNode();
  const parts = await openParts(config, log);
  const work = new AbortController();
  const working = runCore(parts, work.signal);
  const lifecycle = new Lifecycle();
  lifecycle.add({ name: 'claim', stop: () => claim.close() });
  for (const half of parts.datapath.halves) lifecycle.add({ name: half.name, stop: () => half.close() });
  lifecycle.add({
    name: 'table',
    stop: async () => {
      work.abort();
      await Promise.allSettled([working]);
    },
  });
  for (const hook of servers(parts)) lifecycle.add(hook);
  try {
    await Promise.all([start(lifecycle, parts), Promise.race([aborted(signal), working])]);
  } finally {
    await lifecycle.stop();
  }
}

/** A signal does not break it off: nothing in it waits for others, and what is there can be stopped. */
async function start(lifecycle: Lifecycle, { config, log, datapath }: Parts): Promise<void> {
  await lifecycle.start();
  log.info({ cluster: config.cluster.name, node: config.nodeName, datapath: datapath.name }, 'Agent started');
}

const authorOf = ({ cluster, nodeName: node }: AgentConfig): Author => ({ cluster, node });

async function openParts(config: AgentConfig, log: Logger): Promise<Parts> {
  const health = new HealthTree();
  const client = connectKubernetes({ kubeconfig: config.kubeconfig });
  const saved = await readStateFile(config.stateFile, authorOf(config), log);
  const applied = (half: string, revision: number): void => proxy.applied(half, revision, Date.now());
  const core = new AgentCore({ config, saved, log, health, applied });
  const { datapath: choice, cgroupRoot, bpfDirectory: pinDir } = config;
  const datapath = await openDatapath({ choice, cgroupRoot, pinDir, localPodCidrs: () => core.table.podCidrs, log });
  const proxy = new ProxyHealth(datapath.halves.map(({ name }) => name));
  core.table.onChange(() => proxy.published(core.table.revision));
  return { config, log, startedAt: Date.now(), health, client, datapath, core, proxy };
}

async function runCore(parts: Parts, signal: AbortSignal): Promise<void> {
  const { config, log, health, client, datapath, core, proxy } = parts;
  const { table, facts } = core;
  const nodeChanged = (node: KubernetesNode | undefined): void => proxy.nodeLeaves(node?.leaving);
  const changed = (): void => core.changed();
  const local = followLocalCluster(
    { client, table, nodeName: config.nodeName, health, log, changed, nodeChanged },
    signal,
  );
  const state = new StateFile({ path: config.stateFile, author: authorOf(config), table, facts, log });
  const running = core.run(
    {
      halves: datapath.halves,
      readKernel: () => readDatapath(datapath),
      localSynced: local.synced,
      save: (until) => state.run(until),
    },
    signal,
  );
  await Promise.all([running, local.ended]);
  client.close();
}

/** The mesh, the API and the health servers: what they read or listen on may be missing for a while. */
function servers(parts: Parts): readonly Hook[] {
  const { config, log, health } = parts;
  const source = apiSource(parts);
  let registry: Promise<Registry> | undefined;
  const metrics = () => {
    registry ??= import('./metrics.ts').then(({ agentMetrics }) => agentMetrics(source, parts.core.applied));
    return registry;
  };
  const { healthHost: host, healthPort: port } = config;
  return [
    meshHook(parts),
    server(parts, 'api', () => serveApi({ address: config.apiAddress, source, log })),
    server(parts, 'http', () => serveHealth({ host, port, health, metrics })),
    ...(config.scope === 'all' ? proxyServers(parts) : []),
  ];
}

/** What kube-proxy serves for load balancers; beside it, it does so itself. */
function proxyServers(parts: Parts): readonly Hook[] {
  const { config, datapath, proxy } = parts;
  const { proxyHealthPort, proxyStatusPort } = config;
  const answer: RequestListener = ({ url = '/' }, response) =>
    send(response, answerProxy(url.split('?')[0] ?? '', proxy, datapath.name, Date.now()));
  const proxyServer = (name: string, where: Parameters<typeof serveHttp>[1]): readonly Hook[] =>
    where.port === 0 ? [] : [server(parts, name, () => serveHttp(name, where, answer), LONGEST_WAIT_MS)];
  return [
    healthChecksHook(parts),
    ...proxyServer('proxy-health', { port: proxyHealthPort }),
    ...proxyServer('proxy-status', { host: '127.0.0.1', port: proxyStatusPort }),
  ];
}

function healthChecksHook({ config, log, health, core, proxy }: Parts): Hook {
  const here = { node: config.nodeName, scope: config.scope };
  const report = (state: Health): void => health.report('health-checks', state);
  let checks: Closable | undefined;
  return {
    name: 'health-checks',
    start: async () => {
      checks = serveHealthChecks({ table: core.table, here, healthy: () => proxy.healthy, log, report });
    },
    stop: async () => checks?.close(),
  };
}

function server({ log, health }: Parts, name: string, open: () => Promise<Closable>, longestWaitMs?: number): Hook {
  let closable: Closable | undefined;
  return {
    name,
    start: async () => {
      closable = await persist(open, { log, report: (state) => health.report(name, state), longestWaitMs });
    },
    stop: async () => closable?.close(),
  };
}

function meshHook({ config, log, health, core }: Parts): Hook {
  const { clustermeshDirectory: directory, cluster: local, maxClusters } = config;
  const report = (state: Health): void => health.report('mesh', state);
  let mesh: Closable | undefined;
  return {
    name: 'mesh',
    start: async () => {
      const { facts: listener } = core;
      const remembered = listener.clusterIds;
      if (directory === undefined) listener.statusChanged(new Map());
      else
        mesh = startMesh({ directory, local, maxClusters, remembered, listener, connect: connectReader, log, report });
    },
    stop: async () => mesh?.close(),
  };
}

function apiSource({ config, startedAt, health, datapath, core: { table, facts } }: Parts): ApiSource {
  return {
    get revision() {
      return table.revision;
    },
    counts: table.counts,
    get: (key) => table.get(key),
    explain: (known) => table.explain(known),
    snapshot: () => table.snapshot(),
    changesSince: (revision) => table.changesSince(revision),
    onTableChange: (listener) => table.onChange(listener),
    clusters: (): ReadonlyMap<ClusterName, ClusterStatus> =>
      new Map([[config.cluster.name, localStatus(config.cluster, startedAt, table.counts)], ...facts.statuses]),
    onClustersChange: (listener) => facts.onChange(listener),
    status: () => ({
      cluster: config.cluster,
      node: config.nodeName,
      version: VERSION,
      datapath: { name: datapath.name, reason: datapath.reason },
      startedAt,
      parts: health.parts,
    }),
  };
}
