/** A node of a running mesh: its agent, and commands in it. */
import { createCgroup } from '@tombolo/machine/cgroup.ts';
import { type CommandOptions, type CommandResult, command, tryCommand } from '@tombolo/machine/command.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import { Program } from '@tombolo/machine/program.ts';
import { httpReady, programReady } from '@tombolo/machine/readiness.ts';
import type { ClusterPlan } from './plan.ts';
import { type AgentOptions, agentSpec, cliArgv, HEALTH_PORTS } from './programs.ts';

export class NodeHandle {
  readonly name: string;
  readonly plan: NodePlan;
  readonly agent: Program;

  constructor(cluster: ClusterPlan, node: NodePlan, agent: AgentOptions) {
    this.name = node.name;
    this.plan = node;
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

  async #placement() {
    return { netns: this.plan.netns, cgroup: await createCgroup(`${this.plan.cgroup}/system/exec`) };
  }
}
