/**
 * Where agents are measured: a mesh of cluster east, small Kubernetes and one node, whose agent is started anew for each
 * measurement in a kernel that has nothing of ours; and cluster west, of which there is only the etcd.
 */
import { rename } from 'node:fs/promises';
import { AgentClient } from '@tombolo/cli/client.ts';
import { command } from '@tombolo/machine/command.ts';
import { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import type { Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import type { Program } from '@tombolo/machine/program.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import type { ClusterHandle } from '../mesh/cluster.ts';
import { type Mesh, startMesh } from '../mesh/mesh.ts';
import type { NodeHandle } from '../mesh/node.ts';
import { HEALTH_PORTS, typescript } from '../mesh/programs.ts';
import { Helper } from './helper.ts';

export const WEST = { name: 'west', id: 2 } as const;
const SERVICE_READY_MS = 120_000;
/** Requests to the API server at a time. */
const AT_A_TIME = 16;

export class AgentLab {
  readonly east: ClusterHandle;
  readonly node: NodeHandle;
  readonly api: KubernetesClient;
  readonly #mesh: Mesh;
  readonly #signal: AbortSignal;
  readonly #readiness: Helper;
  /** Whether west's file is in the clustermesh directory, where a mesh has it from the start. */
  #joined: boolean;

  private constructor(mesh: Mesh, readiness: Helper, joined: boolean, signal: AbortSignal) {
    this.#joined = joined;
    this.#mesh = mesh;
    this.#signal = signal;
    this.#readiness = readiness;
    this.east = mesh.cluster('east');
    this.node = this.east.node(1);
    this.api = new KubernetesClient(this.east.plan.api, { keepAlive: true });
  }

  /** `name`: one of a name at a time. Without west there are no other clusters. */
  static async start(name: string, signal: AbortSignal, { west = false } = {}): Promise<AgentLab> {
    const mesh = await startMesh({
      name,
      clusters: [{ name: 'east', id: 1, nodes: 1 }, ...(west ? [{ ...WEST, nodes: 0 }] : [])],
      agent: { datapath: 'auto', services: 'global', logLevel: 'warn' },
      without: 'apiservers and agents',
    });
    try {
      const { plan } = mesh.cluster('east').node(1);
      const lab = new AgentLab(mesh, await Helper.start('ready-at', [], plan), west, signal);
      await lab.leaveWest();
      return lab;
    } catch (error) {
      await mesh.close();
      throw error;
    }
  }

  get west(): ClusterHandle {
    return this.#mesh.cluster(WEST.name);
  }

  /** Ms from its start until it is ready. The kernel has nothing from before. */
  async startAgent(): Promise<number> {
    await this.stopAgent();
    return this.timeToReady(this.node.agent, `http://127.0.0.1:${HEALTH_PORTS.agent}/readyz`);
  }

  /** `url` can be reached from the node. */
  async timeToReady(program: Program, url: string): Promise<number> {
    this.#signal.throwIfAborted();
    const ready = this.#readiness.ask<{ at: number }>({ url });
    const started = Number(process.hrtime.bigint()) / 1e6;
    await program.start();
    const outcome = await Promise.race([ready, program.exited]);
    if ('at' in outcome) return outcome.at - started;
    throw new Error(`Cannot measure: ${program.name} ended:\n${await program.logTail()}`);
  }

  /** And takes out of the kernel what it has left there. */
  async stopAgent(): Promise<void> {
    const { agent, plan } = this.node;
    if (!agent.started) return;
    await agent.stop(); // Killed, it would not leave what it compiled to the next run.
    const argv = [...typescript('packages/node-agent/src/main.ts'), 'uninstall', '--bpf-dir', plan.bpfDirectory];
    await command(argv, { netns: plan.netns });
  }

  /** Puts west into the clustermesh directory: the agent's session can begin. */
  async joinWest(): Promise<void> {
    const { directory, clustermeshDirectory } = this.east.plan;
    if (!this.#joined) await rename(`${directory}/${WEST.name}`, `${clustermeshDirectory}/${WEST.name}`);
    this.#joined = true;
  }

  async leaveWest(): Promise<void> {
    const { directory, clustermeshDirectory } = this.east.plan;
    if (this.#joined) await rename(`${clustermeshDirectory}/${WEST.name}`, `${directory}/${WEST.name}`);
    this.#joined = false;
  }

  /** Waits until the agent has heard all clusters completely and has so many Services in its table. */
  async agentHas(services: number): Promise<void> {
    const client = new AgentClient({ kind: 'unix', path: this.node.plan.agentSocket }, SERVICE_READY_MS);
    const check = async (): Promise<boolean> => {
      const status = await client.getStatus();
      return status.clustersHeard === 2 && status.services >= services;
    };
    try {
      const signal = this.#signal;
      await waitUntil(`${services} services in the table`, check, { timeoutMs: SERVICE_READY_MS, everyMs: 50, signal });
    } finally {
      client.close();
    }
  }

  /** Reads all its metrics. Those of its event loop begin anew then. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const argv = ['curl', '-sSf', '--max-time', '60', `http://127.0.0.1:${HEALTH_PORTS.agent}/metrics`];
    return parseMetrics(await command(argv, { netns: this.node.plan.netns }));
  }

  create(manifests: readonly Manifest[]): Promise<void> {
    return createAll(this.api, manifests, this.#signal);
  }

  async close(): Promise<void> {
    this.api.close();
    await this.#mesh.close();
  }
}

/** Samples without labels, of Prometheus' text format. */
export function parseMetrics(text: string): ReadonlyMap<string, number> {
  return new Map([...text.matchAll(/^(\w+) (\S+)$/gm)].map(([, name = '', value]) => [name, Number(value)]));
}

/** Several at a time, in any order. */
export async function createAll(
  api: KubernetesClient,
  manifests: readonly Manifest[],
  signal: AbortSignal,
): Promise<void> {
  const rest = manifests.values();
  const work = async (): Promise<void> => {
    for (const manifest of rest) {
      signal.throwIfAborted();
      await api.create(manifest);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
}
