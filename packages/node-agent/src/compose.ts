/**
 * Wires the agent's rooms together; nothing else does. The core (`core.ts`) gets the local cluster's facts
 * and the mesh's, and the kernel and a file to write to; the API, the metrics and the health servers show what it knows.
 */
import type { RequestListener } from 'node:http';
import { connectReader, loadEtcd3 } from '@tombolo/shared/etcd/connect.ts';
import { isKubernetesService } from '@tombolo/shared/kubernetes/api-address.ts';
import { connectKubernetes, type KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import type { KubernetesNode } from '@tombolo/shared/kubernetes/node-object.ts';
import { podHasAddress } from '@tombolo/shared/kubernetes/pod-lookup.ts';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { type Health, HealthTree } from '@tombolo/shared/process/health.ts';
import { serveHealth, serveHttp } from '@tombolo/shared/process/http.ts';
import { type Hook, Lifecycle } from '@tombolo/shared/process/lifecycle.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { aborted } from '@tombolo/shared/process/notifier.ts';
import type { Registry } from 'prom-client';
import { Announcing } from './announce/announcing.ts';
import { loadGrpc, serveApi } from './api/serve.ts';
import type { ApiSource } from './api/source.ts';
import { Closing } from './closing/closing.ts';
import type { AgentConfig } from './config.ts';
import { AgentCore } from './core.ts';
import { connectedSocketsPath } from './datapath/ebpf/open.ts';
import { type OpenedDatapath, openDatapath, readDatapath } from './datapath/open.ts';
import { Connections, whyNot } from './datapath/sockets/connections.ts';
import { answerProxy } from './health/answers.ts';
import { LONGEST_WAIT_MS, send, serveHealthChecks } from './health/check-ports.ts';
import { ProxyHealth } from './health/proxy-health.ts';
import { type Mesh, startMesh } from './mesh/mesh.ts';
import { NodeView } from './node-view.ts';
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
  readonly node: NodeView;
  readonly announcing: Announcing;
  /** Undefined where no socket hooks are, or nobody wants it. */
  readonly closing: Closing | undefined;
  /** Whom other clusters' addresses are asked of; undefined until it is there. */
  mesh: Mesh | undefined;
}

/**
 * Runs until `signal` aborts. Rejects when the kernel, the kubeconfig or the node cannot be had, or when a part ended
 * that never should; everything else is retried while the agent runs.
 */
export async function runAgent(config: AgentConfig, log: Logger, signal: AbortSignal): Promise<void> {
  const claim = await claimNode();
  const parts = await openParts(config, log);
  const { datapath } = parts;
  const work = new AbortController();
  const working = runCore(parts, work.signal);
  const stopWorking = async (): Promise<void> => {
    work.abort();
    await Promise.allSettled([working]);
  };
  const lifecycle = new Lifecycle();
  lifecycle.add({ name: 'claim', stop: () => claim.close() });
  for (const half of datapath.halves) lifecycle.add({ name: half.name, stop: () => half.close() });
  lifecycle.add({ name: 'table', stop: stopWorking });
  // What it announces is left to others while the kernel still serves it.
  const announced = new AbortController();
  const announcing = parts.announcing.run(announced.signal);
  lifecycle.add({
    name: 'announcing',
    stop: async () => {
      announced.abort();
      await announcing;
    },
  });
  for (const hook of servers(parts)) lifecycle.add(hook);
  // A signal does not break off the start: nothing in it waits for others, and what is there can be stopped.
  const started = lifecycle.start().then(() => {
    log.info({ cluster: config.cluster.name, node: config.nodeName, datapath: datapath.name }, 'Agent started');
  });
  try {
    await Promise.all([started, Promise.race([aborted(signal), working, announcing])]);
  } finally {
    await lifecycle.stop();
  }
}

const authorOf = ({ cluster, nodeName: node }: AgentConfig): Author => ({ cluster, node });

async function openParts(config: AgentConfig, log: Logger): Promise<Parts> {
  const health = new HealthTree();
  const client = connectKubernetes({ kubeconfig: config.kubeconfig, server: config.apiServer });
  const saved = await readStateFile(config.stateFile, authorOf(config), log);
  const applied = (half: string, revision: number): void => {
    closing?.applied();
    proxy.applied(half, revision, Date.now());
    announcing.applied();
  };
  const core = new AgentCore({ config, saved, log, health, applied });
  const { datapath: choice, cgroupRoot, bpfDirectory: pinDir, mapSizes, socketClients, packets } = config;
  const node = new NodeView(config.nodePortAddresses, () => core.nodeChanged());
  const datapath = await openDatapath({
    ...{ choice, cgroupRoot, pinDir, mapSizes, socketClients, packets, log },
    node: () => node.facts,
  });
  const halves = datapath.halves.map(({ name }) => name);
  const proxy = new ProxyHealth(halves);
  core.table.onChange(() => proxy.published(core.table.revision));
  const announcing = new Announcing({
    ...{ ...config, client, table: core.table, health, log },
    applied: () => Math.min(...halves.map((name) => core.applied.get(name) ?? -1)),
    isServing: () => proxy.healthy,
  });
  if (config.scope === 'all') watchWayToApi(client.server, core, health, log);
  const parts: Omit<Parts, 'closing'> = {
    ...{ config, log, startedAt: Date.now(), health, client, datapath, core, proxy, node, announcing },
    mesh: undefined,
  };
  const closing = openClosing(parts);
  return Object.assign(parts, { closing });
}

/** In kube-proxy's place, the way to the API must not be one that this agent has to make. */
function watchWayToApi(server: string, { table }: AgentCore, health: HealthTree, log: Logger): void {
  let isCircular: boolean | undefined;
  const look = (): void => {
    const clusterIps = table.get(serviceKey('default', 'kubernetes'))?.service?.clusterIps ?? [];
    const now = isKubernetesService(server, process.env, clusterIps);
    if (now === isCircular) return;
    isCircular = now;
    const reason = `the API server is asked for at ${server}, the Service default/kubernetes, which after a boot nobody serves before this agent has reached it: expected --kubernetes-api (chart: kubernetesApi.host), an address of the API server itself`;
    if (now) log.error({ server }, `Cannot rely on the way to Kubernetes: ${reason}`);
    health.report('kubernetes/api', now ? { kind: 'degraded', reason } : { kind: 'ok' });
  };
  look();
  table.onChange(look);
}

/** Where socket hooks are. */
function openClosing(parts: Omit<Parts, 'closing'>): Closing | undefined {
  const { config, datapath, core, client, health, log } = parts;
  const half = datapath.halves.find(({ name }) => name === 'ebpf');
  if (!half || !config.closeConnections) return undefined;
  const reason = whyNot('TCP');
  if (reason !== undefined) {
    log.warn({ reason }, 'Connections to backends that are gone stay open');
    health.report('connections', { kind: 'degraded', reason });
    return undefined;
  }
  return new Closing({
    table: core.table,
    applied: () => core.applied.get(half.name) ?? -1,
    connections: new Connections({
      mapPath: connectedSocketsPath(config.bpfDirectory),
      namespaces: config.netnsDirectory,
    }),
    isThere: async ({ owner, address }, signal) =>
      owner.kind === 'pod'
        ? podHasAddress(client, owner, address, signal)
        : parts.mesh?.hasAddress(owner.name, address),
    log,
    report: (state) => health.report('connections', state),
  });
}

async function runCore(parts: Parts, signal: AbortSignal): Promise<void> {
  const { config, log, health, client, datapath, core, proxy, node } = parts;
  const { table, facts } = core;
  const nodeChanged = (object: KubernetesNode | undefined): void => {
    proxy.nodeLeaves(object?.leaving);
    if (object) node.setNode(object.addresses, table.podCidrs);
  };
  const podChanged = (pod: string, addresses: readonly IpAddress[] | undefined): void => node.setPod(pod, addresses);
  const changed = (): void => core.changed();
  const local = followLocalCluster(
    { client, table, nodeName: config.nodeName, health, log, changed, nodeChanged, podChanged },
    signal,
  );
  const report = (state: Health): void => health.report('state-file', state);
  const state = new StateFile({ path: config.stateFile, author: authorOf(config), table, facts, log, report });
  const running = core.run(
    {
      halves: datapath.halves,
      readKernel: (isEnough) => readDatapath(datapath, isEnough),
      localSynced: local.synced,
      save: (until) => state.run(until),
    },
    signal,
  );
  const mayHaveRemotes = config.clustermeshDirectory !== undefined;
  // Once there is nothing to do, so that later nothing waits for it.
  if (mayHaveRemotes)
    void core
      .settled(
        datapath.halves.map(({ name }) => name),
        signal,
      )
      .then(loadEtcd3)
      .then(loadGrpc);
  await Promise.all([running, local.ended, node.watchInterfaces(log, signal), parts.closing?.run(signal)]);
  client.close();
}

/** The mesh, the API and the health servers: what they read or listen on may be missing for a while. */
function servers(parts: Parts): readonly Hook[] {
  const { config, log, health, datapath, core, announcing } = parts;
  const source = apiSource(parts);
  let registry: Promise<Registry> | undefined;
  const metrics = () => {
    registry ??= import('./metrics.ts').then(({ agentMetrics }) =>
      agentMetrics(source, core, datapath.halves, announcing, parts.closing),
    );
    return registry;
  };
  const { healthHost: host, healthPort: port } = config;
  return [
    hook('mesh', () => openMesh(parts)),
    server(parts, 'api', () => serveApi({ address: config.apiAddress, source, log })),
    server(parts, 'http', () => serveHealth({ host, port, health, metrics })),
    ...(config.scope === 'all' ? proxyServers(parts) : []),
  ];
}

/** What kube-proxy serves for load balancers; beside it, it does so itself. */
function proxyServers(parts: Parts): readonly Hook[] {
  const { config, log, health, datapath, core, proxy } = parts;
  const { nodeName: node, scope, proxyHealthPort, proxyStatusPort } = config;
  const answer: RequestListener = ({ url = '/' }, response) =>
    send(response, answerProxy(url.split('?')[0] ?? '', proxy, datapath.name, Date.now()));
  const proxyServer = (name: string, where: Parameters<typeof serveHttp>[1]): readonly Hook[] =>
    where.port === 0 ? [] : [server(parts, name, () => serveHttp(name, where, answer), LONGEST_WAIT_MS)];
  const report = (state: Health): void => health.report('health-checks', state);
  return [
    hook('health-checks', () =>
      serveHealthChecks({ table: core.table, here: { node, scope }, healthy: () => proxy.healthy, log, report }),
    ),
    ...proxyServer('proxy-health', { port: proxyHealthPort }),
    ...proxyServer('proxy-status', { host: '127.0.0.1', port: proxyStatusPort }),
  ];
}

const server = ({ log, health }: Parts, name: string, open: () => Promise<Closable>, longestWaitMs?: number): Hook =>
  hook(name, () => persist(open, { log, report: (state) => health.report(name, state), longestWaitMs }));

/** What is opened at the start is closed at the end. */
function hook(name: string, open: () => Promise<Closable> | Closable | undefined): Hook {
  let opened: Closable | undefined;
  return {
    name,
    start: async () => {
      opened = await open();
    },
    stop: async () => opened?.close(),
  };
}

function openMesh(parts: Parts): Closable | undefined {
  const { config, log, health, core } = parts;
  const { facts } = core;
  const { clustermeshDirectory: directory, cluster: local, maxClusters } = config;
  if (directory === undefined) {
    facts.statusChanged(new Map());
    return undefined;
  }
  const report = (state: Health): void => health.report('mesh', state);
  const remembered = facts.clusterIds;
  parts.mesh = startMesh({
    ...{ directory, local, maxClusters, remembered, log, report },
    listener: facts,
    connect: connectReader,
  });
  return parts.mesh;
}

function apiSource({ config, startedAt, health, datapath, announcing, core: { table, facts } }: Parts): ApiSource {
  return {
    table,
    announcing,
    clusters: () =>
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
