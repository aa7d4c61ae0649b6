/**
 * A program that lives on: started in its place (namespace, cgroup), its output in a file, and stopped, killed or
 * started again at will. It does not share our terminal's signals, and outlives us unless its cgroup is removed: a mesh
 * is taken down by `sweep.ts`, not through these handles.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createCgroup, killCgroup } from './cgroup.ts';
import { programEnvironment } from './environment.ts';
import { placed } from './placement.ts';

export interface ProgramSpec {
  readonly name: string;
  readonly argv: readonly string[];
  readonly netns?: string | undefined;
  /** The path of a mount namespace; see `placement.ts`. */
  readonly mounts?: string | undefined;
  /** A cgroup for this program alone; made when missing. */
  readonly cgroup: string;
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A unix socket that it will make, and that one killed before may have left. */
  readonly socket?: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Program {
  readonly spec: ProgramSpec;
  #child: ChildProcess | undefined;
  #exited: Promise<Exit> | undefined;

  constructor(spec: ProgramSpec) {
    this.spec = spec;
  }

  get name(): string {
    return this.spec.name;
  }

  get running(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null;
  }

  /** Once, though it may have ended. */
  get started(): boolean {
    return this.#child !== undefined;
  }

  get pid(): number {
    if (this.#child?.pid !== undefined && this.running) return this.#child.pid;
    throw new Error(`Cannot tell the process id of ${this.name}: it does not run`);
  }

  /** How the last run ended; pending while it runs. */
  get exited(): Promise<Exit> {
    return this.#exited ?? Promise.reject(new Error(`Cannot wait for ${this.name}: it was never started`));
  }

  /** Resolves when the process exists, not when it is ready. */
  async start(): Promise<void> {
    if (this.running) return;
    const { argv, netns, mounts, cgroup, logFile, env, socket } = this.spec;
    if (socket !== undefined) rmSync(socket, { force: true });
    await createCgroup(cgroup);
    mkdirSync(dirname(logFile), { recursive: true });
    const log = openSync(logFile, 'a');
    const [file = '', ...args] = placed(argv, { netns, mounts, cgroup });
    const child = spawn(file, args, { stdio: ['ignore', log, log], env: programEnvironment(env), detached: true });
    closeSync(log);
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) => reject(new Error(`Cannot start ${this.name}: ${cause.message}`, { cause })));
    });
    child.unref();
  }

  /** Sends a signal and does not wait. */
  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#child?.kill(signal);
  }

  /** SIGKILL to the program and its children, as `kill -9`; resolves when they are gone. */
  async kill(): Promise<void> {
    if (this.#child === undefined) return;
    this.#child.ref();
    await killCgroup(this.spec.cgroup);
    if (this.running) this.#child.kill('SIGKILL');
    await this.exited;
  }

  /** SIGTERM, then SIGKILL after the grace period. Resolves with how it ended. */
  async stop(graceMs = 10_000): Promise<Exit> {
    this.#child?.ref();
    this.signal('SIGTERM');
    let killed = Promise.resolve();
    const timer = setTimeout(() => {
      killed = this.kill();
    }, graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
      await killed; // Else it would go on to kill what is started there next.
      await killCgroup(this.spec.cgroup);
    }
  }

  async log(): Promise<string> {
    return readFile(this.spec.logFile, 'utf8').catch(() => '');
  }

  /** The end of its log, for error messages. */
  async logTail(lines = 30): Promise<string> {
    return (await this.log()).trimEnd().split('\n').slice(-lines).join('\n');
  }
}
