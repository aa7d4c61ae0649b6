/**
 * A real etcd for tests: free ports on loopback, data on a tmpfs (3.4 cannot switch off fsync). Can be killed as a power
 * cut would, restarted with its data or without, and takes everything with it in `stop`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts } from '@tombolo/machine/free-port.ts';
import { connectReader } from '@tombolo/shared/etcd/connect.ts';
import { EtcdError } from '@tombolo/shared/etcd/session/errors.ts';

export interface EtcdServerOptions {
  /** Further command line flags. */
  readonly flags?: readonly string[];
  readonly scheme?: 'http' | 'https';
  /** How to tell that it answers; default: a read without credentials. */
  readonly ready?: (server: EtcdServer) => Promise<void>;
}

export class EtcdServer {
  readonly directory: string;
  readonly endpoint: string;
  readonly #peer: string;
  readonly #options: EtcdServerOptions;
  #process: ChildProcess | undefined;

  private constructor(directory: string, client: number, peer: number, options: EtcdServerOptions) {
    this.directory = directory;
    this.endpoint = `${options.scheme ?? 'http'}://127.0.0.1:${client}`;
    this.#peer = `http://127.0.0.1:${peer}`;
    this.#options = options;
  }

  static async start(options: EtcdServerOptions = {}): Promise<EtcdServer> {
    const directory = await mkdtemp('/dev/shm/tbl-etcd-');
    const [client = 0, peer = 0] = await freePorts(2);
    const server = new EtcdServer(directory, client, peer, options);
    await server.run();
    return server;
  }

  /** Starts (again) on the same ports, with whatever data is there, and waits until it answers. */
  async run(): Promise<void> {
    this.#process = spawn(
      '/usr/bin/etcd',
      [
        '--name=test',
        `--data-dir=${join(this.directory, 'data')}`,
        `--listen-client-urls=${this.endpoint}`,
        `--advertise-client-urls=${this.endpoint}`,
        `--listen-peer-urls=${this.#peer}`,
        `--initial-advertise-peer-urls=${this.#peer}`,
        `--initial-cluster=test=${this.#peer}`,
        ...(this.#options.flags ?? []),
      ],
      { stdio: 'ignore' },
    );
    await (this.#options.ready ?? answers)(this);
  }

  /** Resolves when every thread has stopped: the signal alone does not mean that. */
  async pause(): Promise<void> {
    const child = this.#process;
    if (!child) return;
    child.kill('SIGSTOP');
    await until('etcd stands still', async () => {
      const tasks = await readdir(`/proc/${child.pid}/task`);
      const states = tasks.map((task) => readFile(`/proc/${child.pid}/task/${task}/stat`, 'utf8'));
      return (await Promise.all(states)).every((stat) => /\) T /.test(stat));
    });
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  async wipe(): Promise<void> {
    await rm(join(this.directory, 'data'), { recursive: true, force: true });
  }

  /** What is there now, as a backup. To be taken, and put back, while it is down. */
  async backUp(): Promise<void> {
    await cp(join(this.directory, 'data'), join(this.directory, 'backup'), { recursive: true });
  }

  async restore(): Promise<void> {
    await this.wipe();
    await cp(join(this.directory, 'backup'), join(this.directory, 'data'), { recursive: true });
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.directory, { recursive: true, force: true });
  }
}

async function answers(server: EtcdServer): Promise<void> {
  await until(`etcd answers at ${server.endpoint}`, async () => {
    const reader = connectReader({ endpoints: [server.endpoint] });
    return reader
      .get('ready', 1_000)
      .then(
        () => true,
        // With authentication switched on, a refusal is an answer.
        (error) => error instanceof EtcdError && error.kind === 'unauthorized',
      )
      .finally(() => reader.close());
  });
}

/** Polls until the condition holds; rejects with what was waited for. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`Waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
