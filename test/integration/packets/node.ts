/** The agent of the rig's node: a process in its network namespace, with pins and a control group of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ApplyReport } from '@tombolo/node-agent/datapath/datapath.ts';
import { findCgroupRoot } from '@tombolo/node-agent/datapath/ebpf/mounts.ts';
import type { HookKind } from '@tombolo/node-agent/datapath/ebpf/packets/hooks.ts';
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import type { Rig } from '../nftables/rig.ts';
import type { Order } from './agent.ts';

const AGENT = fileURLToPath(new URL('./agent.ts', import.meta.url));

interface StartOptions {
  readonly packets?: 'yes' | 'no';
  readonly flows?: number;
}

export class PacketNode {
  readonly #rig: Rig;
  readonly #cgroup: string;
  readonly #hooks: HookKind;
  #child: ChildProcess | undefined;
  #answers: AsyncIterator<string> | undefined;

  constructor(rig: Rig, hooks: HookKind = 'tcx') {
    const root = findCgroupRoot();
    if (!root.ok) throw new Error(`Cannot build a rig: ${root.error}`);
    this.#rig = rig;
    this.#hooks = hooks;
    this.#cgroup = join(root.value, basename(rig.directory));
  }

  /** For an agent that is started by somebody else. */
  get directories(): readonly [pinDir: string, cgroup: string] {
    if (!existsSync(this.#cgroup)) mkdirSync(this.#cgroup);
    return [this.pinDir, this.#cgroup];
  }

  get pinDir(): string {
    return join(this.#rig.directory, 'bpf');
  }

  async start({ packets = 'yes', flows = 131_072 }: StartOptions = {}): Promise<void> {
    if (!existsSync(this.#cgroup)) mkdirSync(this.#cgroup);
    const place = `--net=/run/netns/${this.#rig.netns('node')}`;
    const choices = [this.#hooks, packets, String(flows)];
    const child = spawn('nsenter', [place, process.execPath, AGENT, this.pinDir, this.#cgroup, ...choices], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child = child;
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    if ((await this.#answers.next()).value !== '"ready"') throw new Error('Cannot start the agent of the node');
  }

  async replace(...routes: readonly FrontendRoute[]): Promise<void> {
    this.#expect(await this.#order({ do: 'replace', routes }));
  }

  async set(...routes: readonly FrontendRoute[]): Promise<void> {
    this.#expect(await this.#order({ do: 'set', routes }));
  }

  verify = async (): Promise<string | null> => (await this.#order({ do: 'verify' })) as string | null;
  foreign = (): Promise<unknown> => this.#order({ do: 'foreign' });
  refresh = (): Promise<unknown> => this.#order({ do: 'refresh' });

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    if (this.#child) await once(this.#child, 'exit');
    this.#child = undefined;
  }

  /** As an agent stops: the kernel goes on. */
  async close(): Promise<void> {
    if (!this.#child) return;
    await this.#order({ do: 'close' });
    await once(this.#child, 'exit');
    this.#child = undefined;
  }

  /** Takes everything away; once more a process if there is none. */
  async end(): Promise<void> {
    if (!this.#child) await this.start();
    await this.#order({ do: 'destroy' });
    if (this.#child) await once(this.#child, 'exit');
    this.#child = undefined;
    rmdirSync(this.#cgroup);
  }

  #expect(report: unknown): void {
    const { failures } = report as ApplyReport;
    if (failures?.length !== 0) throw new Error(`Cannot program the node: ${JSON.stringify(report)}`);
  }

  async #order(order: Order): Promise<unknown> {
    this.#child?.stdin?.write(`${JSON.stringify(order)}\n`);
    return JSON.parse((await this.#answers?.next())?.value ?? 'null');
  }
}
