/**
 * A mesh on this machine: handles on its parts, and its end. Who starts it closes it; when the start fails, or on Ctrl-C,
 * it takes itself down. What a killed run left is swept at the next start.
 */
import { cgroup2Mount } from '@tombolo/machine/cgroup.ts';
import { claimPlaces } from '@tombolo/machine/claim.ts';
import { isInterrupted, onInterrupt } from '@tombolo/machine/interrupt.ts';
import { type MeshPlaces, meshName, meshPlaces } from '@tombolo/machine/names.ts';
import { writeState } from '@tombolo/machine/owner.ts';
import { Program } from '@tombolo/machine/program.ts';
import { removeMesh } from '@tombolo/machine/sweep.ts';
import { bringUp, type Without } from './bring-up.ts';
import { ClusterHandle } from './cluster.ts';
import { type ClusterSpec, type KubernetesKind, type MeshPlan, planMesh } from './plan.ts';
import { type AgentOptions, relaySpec } from './programs.ts';

export interface MeshOptions {
  /** 1-16 lower-case letters and digits; one mesh of a name at a time. */
  readonly name: string;
  readonly clusters: readonly ClusterSpec[];
  /** Absent: the small one. */
  readonly kubernetes?: KubernetesKind;
  readonly agent?: AgentOptions;
  /** Leaves the agents, or the apiservers too, to the caller. */
  readonly without?: Without;
}

export class Mesh {
  readonly plan: MeshPlan;
  readonly clusters: readonly ClusterHandle[];
  readonly relay: Program;
  readonly #places: MeshPlaces;
  readonly #forget: () => void;
  readonly #closing = new AbortController();
  #startup: Promise<void> = Promise.resolve();
  #closed: Promise<void> | undefined;

  constructor(places: MeshPlaces, plan: MeshPlan, agent: AgentOptions) {
    this.#places = places;
    this.plan = plan;
    this.clusters = plan.clusters.map((cluster) => new ClusterHandle(plan, cluster, agent));
    this.relay = new Program(relaySpec(plan));
    this.#forget = onInterrupt(() => this.close());
  }

  /** Once; see `startMesh`. */
  start(without: Without | undefined): Promise<void> {
    this.#startup = bringUp(this, without, this.#closing.signal);
    return this.#startup;
  }

  cluster(name: string): ClusterHandle {
    const cluster = this.clusters.find((cluster) => cluster.name === name);
    if (cluster !== undefined) return cluster;
    throw new Error(`Cannot find cluster '${name}': the mesh has ${this.clusters.map(({ name }) => name)}`);
  }

  /** Takes everything off the machine. */
  close(): Promise<void> {
    this.#closed ??= this.#takeDown();
    return this.#closed;
  }

  /** Leaves it running for others, who take it down by its name; these handles are done with. */
  async keep(): Promise<void> {
    this.#forget();
    await writeState(this.#places, { owner: undefined, plan: this.plan });
  }

  /** Waits for what is just being made, so that nothing appears behind its back. */
  async #takeDown(): Promise<void> {
    this.#closing.abort(new Error(`Cannot start mesh '${this.plan.name}': it is being taken down`));
    await this.#startup.catch(() => {});
    await removeMesh(this.#places);
    if (isInterrupted()) await removeMesh(this.#places); // Whoever used it did not know, and may have made more.
    this.#forget();
  }
}

export async function startMesh(options: MeshOptions): Promise<Mesh> {
  const places = meshPlaces(meshName(options.name));
  const plan = planMesh(places, await cgroup2Mount(), options.clusters, options.kubernetes);
  await claimPlaces(places, plan);
  const mesh = new Mesh(places, plan, options.agent ?? {});
  try {
    await mesh.start(options.without);
    return mesh;
  } catch (error) {
    await mesh.close();
    throw error;
  }
}
