/** A node of a running mesh: its programs, commands in it, its link to the others. */
import { createCgroup } from '@tombolo/machine/cgroup.ts';
import { type CommandOptions, type CommandResult, command, tryCommand } from '@tombolo/machine/command.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import { Program } from '@tombolo/machine/program.ts';
import { httpReady, programReady } from '@tombolo/machine/readiness.ts';
import { cutLink, healLink } from './fabric.ts';
import type { ClusterPlan, MeshPlan } from './plan.ts';
import { type AgentOptions, agentSpec, cliArgv, HEALTH_PORTS } from './programs.ts';

export class NodeHandle {
  readonly name: string;
  readonly plan: NodePlan;
  readonly agent: Program;
  readonly #mesh: MeshPlan;
  readonly #cluster: ClusterPlan;

  constructor(mesh: MeshPlan, cluster: ClusterPlan, node: NodePlan, agent: AgentOptions) {
    this.name = node.name;
    this.plan = node;
    this.#mesh = mesh;
    this.#cluster = cluster;
    this.agent = new Program(agentSpec(cluster, node, agent));
  }

  /** A command in the node's network namespace and cgroup, as a process of the host has it. */
  async run(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    return command(argv, { ...options, ...(await this.#placement()) });
  }

  async tryRun(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return tryCommand(argv, { ...options, ...(await this.#placement()) });
  }

  /** `tombolo ARGS` at this node's agent. */
  tombolo(args: readonly string[]): Promise<string> {
    return command([...cliArgv(this.plan), ...args]);
  }

  agentReady(): Promise<void> {
    return programReady(this.agent, () => httpReady(this.plan.netns, `http://127.0.0.1:${HEALTH_PORTS.agent}/readyz`));
  }

  /** All that is sent to and from the node is lost, until healed. */
  cut(): Promise<void> {
    return cutLink(this.#mesh, this.plan.link);
  }

  heal(): Promise<void> {
    return healLink(this.#mesh, this.plan.link, this.#cluster.bridge);
  }

  async #placement() {
    return { netns: this.plan.netns, cgroup: await createCgroup(`${this.plan.cgroup}/system/exec`) };
  }
}
