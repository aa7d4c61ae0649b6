/** One life of the agent on node `east-1`: the core, the mesh and the state file over a kernel in memory. */
import { AgentCore, type CoreOptions } from '@tombolo/node-agent/core.ts';
import { MemoryDatapath, type MemoryKernel } from '@tombolo/node-agent/datapath/memory.fixture.ts';
import { type Mesh, type MeshOptions, startMesh } from '@tombolo/node-agent/mesh/mesh.ts';
import { readStateFile, StateFile } from '@tombolo/node-agent/state-file.ts';
import type { Clock } from '@tombolo/shared/process/clock.ts';
import { HealthTree } from '@tombolo/shared/process/health.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';

export interface AgentOptions {
  readonly config: CoreOptions['config'];
  readonly kernel: MemoryKernel;
  readonly clock: Clock;
  readonly stateFile: string;
  /** The clustermesh directory. */
  readonly directory: string;
  readonly connect: MeshOptions['connect'];
}

/** The directory is looked at so often that nobody waits for its notifications. */
const TIMING = { pollMs: 100, confirmMs: 100 };

export class Agent {
  readonly core: AgentCore;
  readonly #mesh: Mesh;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  readonly #localSynced = Promise.withResolvers<void>();
  #looked = false;

  private constructor(core: AgentCore, { config, kernel, clock, stateFile, directory, connect }: AgentOptions) {
    this.core = core;
    const { table, facts } = core;
    const datapath = new MemoryDatapath(kernel);
    const author = { cluster: config.cluster, node: config.nodeName };
    const state = new StateFile({ path: stateFile, author, table, facts, log: silentLogger, report: () => {}, clock });
    this.#running = core.run(
      {
        halves: [datapath],
        readKernel: () => datapath.read(),
        localSynced: this.#localSynced.promise,
        save: (signal) => state.run(signal),
      },
      this.#stopping.signal,
    );
    this.#mesh = startMesh({
      directory,
      local: config.cluster,
      maxClusters: 255,
      remembered: facts.clusterIds,
      listener: facts,
      connect,
      log: silentLogger,
      report: () => {
        this.#looked = true;
      },
      clock,
      timing: TIMING,
    });
  }

  static async start(options: AgentOptions): Promise<Agent> {
    const { config, stateFile, clock } = options;
    const author = { cluster: config.cluster, node: config.nodeName };
    const saved = await readStateFile(stateFile, author, silentLogger);
    return new Agent(new AgentCore({ config, saved, log: silentLogger, health: new HealthTree(), clock }), options);
  }

  /** Whether the clustermesh directory was looked at. */
  get looked(): boolean {
    return this.#looked;
  }

  /** Whether it is among the clusters of the mesh. */
  knows(cluster: string): boolean {
    return [...this.core.facts.statuses.keys()].some((name) => name === cluster);
  }

  /** Whether it has taken up the file of this cluster. */
  follows(cluster: string): boolean {
    return [...this.core.facts.statuses].some(([name, { endpoints }]) => name === cluster && endpoints.length > 0);
  }

  /** All that the local Kubernetes API has was told. */
  localSynced(): void {
    this.#localSynced.resolve();
  }

  /** Resolves when all that was told is in the kernel. */
  settled(): Promise<void> {
    return this.core.settled(['memory'], this.#stopping.signal);
  }

  async stop(): Promise<void> {
    await this.#mesh.close();
    this.#stopping.abort();
    await this.#running;
  }
}
