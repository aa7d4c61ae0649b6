/**
 * The order in which a mesh comes up: files, network, stores and APIs, then what needs them. When `signal` aborts, what
 * is being made is finished and what is being waited for is not; nothing more is made after that.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createCgroup } from '@tombolo/machine/cgroup.ts';
import { kubeconfig } from '@tombolo/machine/kubernetes/kubeconfig.ts';
import type { Program } from '@tombolo/machine/program.ts';
import { programReady } from '@tombolo/machine/readiness.ts';
import { allDone } from '@tombolo/machine/wait.ts';
import type { ClusterHandle } from './cluster.ts';
import { layFabric } from './fabric.ts';
import { makeDirectories, writeFiles, writeKubeconfigs } from './files.ts';
import { type MeshPlan, stations } from './plan.ts';
import { relayPortsFile } from './programs.ts';

export type Without = 'agents' | 'apiservers and agents';

export interface MeshParts {
  readonly plan: MeshPlan;
  readonly clusters: readonly ClusterHandle[];
  readonly relay: Program;
}

export async function bringUp(mesh: MeshParts, without: Without | undefined, signal: AbortSignal): Promise<void> {
  const { plan, clusters, relay } = mesh;
  const nodes = clusters.flatMap((cluster) => cluster.nodes);
  const apiservers = without === 'apiservers and agents' ? [] : clusters;
  const agents = without === undefined ? nodes : [];
  const make = async (work: () => Promise<unknown>): Promise<void> => {
    signal.throwIfAborted();
    await work();
  };
  const aborted = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  aborted.catch(() => {}); // Also when nobody waits just then.
  const wait = (work: readonly Promise<unknown>[]) => Promise.race([Promise.all(work), aborted]);

  await make(() => makeDirectories(plan));
  await make(() => writeFiles(plan));
  await make(() => allDone(stations(plan).map(({ cgroup }) => createCgroup(cgroup))));
  await make(() => layFabric(plan));
  const first = [relay, ...clusters.flatMap(({ etcd, kubernetes }) => [etcd, kubernetes])];
  await make(() => allDone(first.map((each) => each.start())));
  await make(() => writeKubeconfigs(plan));
  await wait(clusters.flatMap((cluster) => [cluster.etcdReady(), cluster.kubernetes.ready()]));
  await make(() => allDone(clusters.map(({ kubernetes }) => kubernetes.startNodes())));
  await make(() => allDone(apiservers.map(({ apiserver }) => apiserver.start())));
  await make(() => allDone(agents.map(({ agent }) => agent.start())));
  await wait([relayPorts(mesh)]);
  await make(async () => writeUserKubeconfig(mesh, await relayPorts(mesh)));
  await wait(clusters.map(({ kubernetes }) => kubernetes.nodesReady()));
  await wait(apiservers.map((cluster) => cluster.apiserverReady()));
  await wait(agents.map((node) => node.agentReady()));
}

type Ports = Readonly<Record<string, number>>;

async function relayPorts({ plan, relay }: MeshParts): Promise<Ports> {
  let ports: Ports = {};
  await programReady(relay, async () => {
    ports = JSON.parse(await readFile(relayPortsFile(plan), 'utf8')) as Ports;
    return true;
  });
  return ports;
}

async function writeUserKubeconfig({ plan }: MeshParts, ports: Ports): Promise<void> {
  const entries = plan.clusters.map(({ name, api: { tls } }) => ({
    cluster: name,
    server: `${tls ? 'https' : 'http'}://127.0.0.1:${ports[name]}`,
    tls,
  }));
  await writeFile(plan.kubeconfig, kubeconfig(entries), { mode: 0o600 });
}
