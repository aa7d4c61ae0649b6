/**
 * One container of a pod: its program, started again as the restart policy says, and its readiness. Reports every change
 * of state; what that means for the pod is `pod-status.ts`.
 */
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCgroup } from '@tombolo/machine/cgroup.ts';
import { tryCommand } from '@tombolo/machine/command.ts';
import type { Container } from '@tombolo/machine/kubernetes/objects.ts';
import { type Exit, Program } from '@tombolo/machine/program.ts';
import { backoff } from '@tombolo/shared/process/backoff.ts';
import type { ContainerReport, ContainerState } from './container-state.ts';
import { commandOf } from './images.ts';
import { watchReadiness } from './probe.ts';

export interface ContainerHost {
  readonly netns: string;
  /** The pod's; the container has one below. */
  readonly cgroup: string;
  readonly directory: string;
  readonly address: string;
  readonly env: Readonly<Record<string, string>>;
  readonly restartPolicy: 'Always' | 'OnFailure' | 'Never';
  changed(): void;
}

export class ContainerRunner {
  readonly #container: Container;
  readonly #host: ContainerHost;
  readonly #stopping = new AbortController();
  #program: Program | undefined;
  #state: ContainerState = { kind: 'waiting', reason: 'ContainerCreating' };
  #last: ContainerState | undefined;
  #restarts = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(container: Container, host: ContainerHost) {
    this.#container = container;
    this.#host = host;
  }

  get report(): ContainerReport {
    const { name, image } = this.#container;
    return { name, image, state: this.#state, last: this.#last, restarts: this.#restarts };
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Resolves when the program and its children are gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    if (this.#program?.running) await this.#program.stop(graceMs);
    await this.#running;
  }

  async #run(): Promise<void> {
    const argv = commandOf(this.#container);
    if (argv === undefined) {
      const message = `image '${this.#container.image}' has no program here: name a command of this machine`;
      return this.#become({ kind: 'waiting', reason: 'ErrImageNeverPull', message });
    }
    const { signal } = this.#stopping;
    let pause = backoff({ first: 100, limit: 10_000, random: () => 0.5 });
    while (!signal.aborted) {
      const exitCode = await this.#runOnce(argv);
      const again = this.#host.restartPolicy;
      if (signal.aborted || again === 'Never' || (again === 'OnFailure' && exitCode === 0)) return;
      await sleep(pause.delay, undefined, { signal }).catch(() => {});
      pause = pause.next();
      if (!signal.aborted) this.#restarts++;
    }
  }

  /** From start to end; the exit code. */
  async #runOnce(argv: readonly string[]): Promise<number> {
    const { netns, cgroup, directory, env } = this.#host;
    const { name } = this.#container;
    const own = Object.fromEntries((this.#container.env ?? []).map(({ name, value = '' }) => [name, value]));
    this.#program = new Program({
      name,
      argv,
      netns,
      cgroup: `${cgroup}/${name}`,
      logFile: `${directory}/${name}.log`,
      env: { ...env, ...own },
    });
    await this.#program.start();
    if (this.#stopping.signal.aborted) await this.#program.kill();
    const startedAt = new Date().toISOString();
    this.#become({ kind: 'running', startedAt, ready: false });
    const ended = new AbortController();
    const probing = watchReadiness(this.#container, this.#target(), (ready) => this.#readyIs(ready), ended.signal);
    const exit = await this.#program.exited;
    ended.abort();
    await probing;
    const exitCode = exitCodeOf(exit);
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    this.#become({ kind: 'terminated', exitCode, reason, startedAt, finishedAt: new Date().toISOString() });
    return exitCode;
  }

  #target() {
    const { netns, cgroup, address } = this.#host;
    return {
      address,
      exec: async (argv: readonly string[], timeoutMs: number) => {
        const group = await createCgroup(`${cgroup}/exec`);
        return (await tryCommand(argv, { netns, cgroup: group, timeoutMs })).code;
      },
    };
  }

  #readyIs(ready: boolean): void {
    if (this.#state.kind === 'running') this.#become({ ...this.#state, ready });
  }

  #become(state: ContainerState): void {
    if (this.#state.kind === 'terminated') this.#last = this.#state;
    this.#state = state;
    this.#host.changed();
  }
}

function exitCodeOf({ code, signal }: Exit): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}
