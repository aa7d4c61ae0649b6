/**
 * One container of a pod: its program, started again whenever it ends, and its readiness. Reports every change of state;
 * what that means for the pod is `pod-status.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Container } from '@tombolo/machine/kubernetes/objects.ts';
import { Program } from '@tombolo/machine/program.ts';
import { backoff } from '@tombolo/shared/process/backoff.ts';
import { commandOf } from './images.ts';
import type { ContainerReport, ContainerState } from './pod-status.ts';
import { watchReadiness } from './probe.ts';

export interface ContainerHost {
  readonly netns: string;
  /** The pod's; the container has one below. */
  readonly cgroup: string;
  readonly directory: string;
  readonly address: string;
  readonly env: Readonly<Record<string, string>>;
  changed(): void;
}

export class ContainerRunner {
  readonly #container: Container;
  readonly #host: ContainerHost;
  readonly #stopping = new AbortController();
  #program: Program | undefined;
  #state: ContainerState = { kind: 'waiting', reason: 'ContainerCreating' };
  #restarts = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(container: Container, host: ContainerHost) {
    this.#container = container;
    this.#host = host;
  }

  get report(): ContainerReport {
    const { name, image } = this.#container;
    return { name, image, state: this.#state, restarts: this.#restarts };
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
      await this.#runOnce(argv);
      if (signal.aborted) return;
      await sleep(pause.delay, undefined, { signal }).catch(() => {});
      pause = pause.next();
    }
  }

  /** From start to end. */
  async #runOnce(argv: readonly string[]): Promise<void> {
    const { netns, cgroup, directory, address, env } = this.#host;
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
    const become = (ready: boolean) => this.#become({ kind: 'running', startedAt, ready });
    become(false);
    const ended = new AbortController();
    const probing = watchReadiness(this.#container, address, become, ended.signal);
    const { code, signal } = await this.#program.exited;
    ended.abort();
    await probing;
    if (!this.#stopping.signal.aborted) this.#restarts++;
    this.#become({ kind: 'waiting', reason: 'CrashLoopBackOff', message: `it ended with ${signal ?? code}` });
  }

  #become(state: ContainerState): void {
    this.#state = state;
    this.#host.changed();
  }
}
