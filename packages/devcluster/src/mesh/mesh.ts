/**
 * Starts a whole mesh and hands out handles on its parts. Who starts it closes it; when the start fails, or on Ctrl-C,
 * it takes itself down. What a killed run left is swept at the next start.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { cgroup2Mount, createCgroup } from '../machine/cgroup.ts';
import { type MeshPlaces, meshName, meshPlaces } from '../machine/names.ts';
import { isAlive, readState, thisProcess, writeState } from '../machine/owner.ts';
import { Program } from '../machine/program.ts';
import { removeMesh, sweepAbandoned } from '../machine/sweep.ts';
import { waitUntil } from '../machine/wait.ts';
import { ClusterHandle } from './cluster.ts';
import { layFabric } from './fabric.ts';
import { kubeconfig, makeDirectories, writeFiles } from './files.ts';
import { onInterrupt } from './interrupt.ts';
import { type ClusterSpec, type MeshPlan, planMesh, stations } from './plan.ts';
import { type AgentOptions, relayPortsFile, relaySpec } from './programs.ts';
import { programReady } from './readiness.ts';

export interface MeshOptions {
  /** 1-16 lower-case letters and digits; one mesh of a name at a time. */
  readonly name: string;
  readonly clusters: readonly ClusterSpec[];
  readonly agent?: AgentOptions;
  /** Leaves the agents, or the apiservers too, to the caller. */
  readonly without?: 'agents' | 'apiservers and agents';
}

export class Mesh {
  readonly plan: MeshPlan;
  readonly clusters: readonly ClusterHandle[];
  readonly relay: Program;
  readonly #places: MeshPlaces;
  readonly #forget: () => void;
  #closed: Promise<void> | undefined;

  constructor(places: MeshPlaces, plan: MeshPlan, agent: AgentOptions) {
    this.#places = places;
    this.plan = plan;
    this.clusters = plan.clusters.map((cluster) => new ClusterHandle(plan, cluster, agent));
    this.relay = new Program(relaySpec(plan));
    this.#forget = onInterrupt(() => this.close());
  }

  cluster(name: string): ClusterHandle {
    const cluster = this.clusters.find((cluster) => cluster.name === name);
    if (cluster !== undefined) return cluster;
    throw new Error(`Cannot find cluster '${name}': the mesh has ${this.clusters.map(({ name }) => name)}`);
  }

  /** Takes everything off the machine. */
  close(): Promise<void> {
    this.#forget();
    this.#closed ??= removeMesh(this.#places);
    return this.#closed;
  }

  /** Leaves it running for others, who take it down by its name; these handles are done with. */
  async keep(): Promise<void> {
    this.#forget();
    await writeState(this.#places, { owner: undefined, plan: this.plan });
  }
}

export async function startMesh(options: MeshOptions): Promise<Mesh> {
  if (process.getuid?.() !== 0) throw new Error('Cannot start a mesh: it takes root to make network namespaces');
  const places = meshPlaces(meshName(options.name));
  const plan = planMesh(places, await cgroup2Mount(), options.clusters);
  await sweepAbandoned();
  const before = await readState(places);
  if (await isAlive(before?.owner))
    throw new Error(`Cannot start mesh '${places.name}': process ${before?.owner?.pid} runs one of that name`);
  await removeMesh(places);
  await writeState(places, { owner: await thisProcess(), plan });
  const mesh = new Mesh(places, plan, options.agent ?? {});
  try {
    await bringUp(mesh, options.without);
    return mesh;
  } catch (error) {
    await mesh.close();
    throw error;
  }
}

async function bringUp(mesh: Mesh, without: MeshOptions['without']): Promise<void> {
  const { plan, clusters, relay } = mesh;
  const nodes = clusters.flatMap((cluster) => cluster.nodes);
  await makeDirectories(plan);
  await writeFiles(plan);
  await Promise.all(stations(plan).map(({ cgroup }) => createCgroup(cgroup)));
  await layFabric(plan);
  await Promise.all([relay, ...clusters.flatMap(({ etcd, kubernetes }) => [etcd, kubernetes])].map((p) => p.start()));
  await Promise.all(clusters.flatMap((cluster) => [cluster.etcdReady(), cluster.kubernetesReady()]));
  await Promise.all(nodes.map(({ kubelet }) => kubelet.start()));
  if (without !== 'apiservers and agents') await Promise.all(clusters.map(({ apiserver }) => apiserver.start()));
  if (without === undefined) await Promise.all(nodes.map(({ agent }) => agent.start()));
  await writeUserKubeconfig(mesh);
  await Promise.all(clusters.map((cluster) => cluster.nodesReady()));
  if (without !== 'apiservers and agents') await Promise.all(clusters.map((cluster) => cluster.apiserverReady()));
  if (without === undefined) await Promise.all(nodes.map((node) => node.agentReady()));
}

async function writeUserKubeconfig({ plan, relay }: Mesh): Promise<void> {
  const read = async () => JSON.parse(await readFile(relayPortsFile(plan), 'utf8')) as Record<string, number>;
  await programReady(relay, async () => (await read()) !== undefined);
  const ports = await waitUntil('the relay’s ports', read);
  const servers = plan.clusters.map(({ name }): [string, string] => [name, `http://127.0.0.1:${ports[name]}`]);
  await writeFile(plan.kubeconfig, kubeconfig(servers));
}
