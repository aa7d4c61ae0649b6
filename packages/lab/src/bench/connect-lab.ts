/**
 * Where the connect benchmark measures: three namespaces in a row, `client – node – back`, joined by veth, without a way
 * out; servers in `back`, C programs compiled on the spot. There are two such rows: `bare`, where the node only routes, and
 * `tables`, for rules to be put into its node. Socket hooks attach to the control group in which a client runs. `end`
 * takes all of it away, and a new lab what killed runs left.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cgroup2Mount, createCgroup, removeCgroup } from '@tombolo/machine/cgroup.ts';
import { command } from '@tombolo/machine/command.ts';
import { createNetns, ip, listNetns, removeNetns, setSysctls } from '@tombolo/machine/netns.ts';
import { placed } from '@tombolo/machine/placement.ts';
import { removeEbpfDatapath } from '@tombolo/node-agent/datapath/ebpf/open.ts';

const PREFIX = 'tbl-bench-';
const SOURCES = fileURLToPath(new URL('../../../../test/bench/', import.meta.url));
const PLACES = ['client', 'node', 'back'] as const;
export type Place = (typeof PLACES)[number];

/** In `back`; 10.2.0.1 and 10.1.0.1 are the node's. */
export const SERVERS = ['10.2.0.11', '10.2.0.12', '10.2.0.13'] as const;
export const SERVER_PORT = 8080;
/** Of servers that take all and answer nothing. */
export const DISCARD_PORT = 8081;
export const POD_CIDR = '10.1.0.0/24';
/** Services are in here; in every namespace it leads nowhere, save from a client to its node. */
const SERVICE_RANGE = '10.96.0.0/12';

export interface LabOptions {
  readonly signal: AbortSignal;
}

export class ConnectLab {
  readonly #directory: string;
  /** Of clients that shall be balanced at their sockets. */
  readonly cgroup: string;
  readonly #signal: AbortSignal;

  /** Not below the clients' one; it also tells a later run what this one has left running. */
  readonly #serverCgroup: string;

  /** Client and servers share one CPU: what is measured then is work, and not how fast the machine wakes an idle CPU. */
  readonly #pinned = ['taskset', '-c', lastCpu(readFileSync('/proc/self/status', 'utf8'))];

  private constructor(directory: string, cgroupRoot: string, signal: AbortSignal) {
    this.#directory = directory;
    this.cgroup = join(cgroupRoot, basename(directory), 'clients');
    this.#serverCgroup = join(cgroupRoot, basename(directory), 'servers');
    this.#signal = signal;
  }

  static async build({ signal }: LabOptions): Promise<ConnectLab> {
    await sweep();
    const directory = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
    const lab = new ConnectLab(directory, await cgroup2Mount(), signal);
    try {
      await lab.#build();
    } catch (error) {
      await lab.end();
      throw error;
    }
    return lab;
  }

  netns(row: Row, place: Place): string {
    return `${basename(this.#directory)}-${row}-${place}`;
  }

  /** A directory on a bpffs that whoever needs it mounts. */
  get pinDir(): string {
    return join(this.#directory, 'bpf');
  }

  /** Connections per second from the client of a row to an address; every one of them must succeed. */
  async measure(row: Row, address: string, seconds: number, cgroup?: string): Promise<number> {
    const argv = [...this.#pinned, join(this.#directory, 'connect'), '-d', String(seconds), '-w', '100', address];
    const place = cgroup === undefined ? {} : { cgroup };
    const output = await command(argv, { netns: this.netns(row, 'client'), signal: this.#signal, ...place });
    const { perSecond, failures, errors } = JSON.parse(output);
    if (failures > 0)
      throw new Error(`Cannot measure ${address}: ${failures} connections failed: ${JSON.stringify(errors)}`);
    return perSecond;
  }

  /** Megabytes per second over one connection from the client of a row to an address. */
  async stream(row: Row, address: string, seconds: number, cgroup?: string): Promise<number> {
    const argv = [...this.#pinned, join(this.#directory, 'stream'), '-d', String(seconds), address];
    const place = cgroup === undefined ? {} : { cgroup };
    const output = await command(argv, { netns: this.netns(row, 'client'), signal: this.#signal, ...place });
    return JSON.parse(output).megabytesPerSecond;
  }

  end(): Promise<void> {
    return clear(basename(this.#directory));
  }

  async #build(): Promise<void> {
    const signal = this.#signal;
    await createCgroup(this.cgroup);
    await createCgroup(this.#serverCgroup);
    for (const program of ['connect', 'sink', 'stream']) {
      const output = join(this.#directory, program);
      await command(['gcc', '-O2', '-pthread', '-o', output, join(SOURCES, `${program}.c`)], { signal });
    }
    for (const row of ROWS) {
      await this.#buildRow(row);
      await this.#serve(row, SERVER_PORT);
      await this.#serve(row, DISCARD_PORT, '-d');
    }
  }

  async #buildRow(row: Row): Promise<void> {
    const name = (place: Place): string => this.netns(row, place);
    await createNetns(PLACES.map(name));
    await setSysctls(name('node'), { 'net/ipv4/ip_forward': 1 });
    await ip(name('node'), [
      `link add client type veth peer name eth0 netns ${name('client')}`,
      `link add back type veth peer name eth0 netns ${name('back')}`,
      'link set lo up',
      'link set client up',
      'link set back up',
      'address add 10.1.0.1/24 dev client',
      'address add 10.2.0.1/24 dev back',
      `route add blackhole ${SERVICE_RANGE}`,
    ]);
    await ip(name('client'), [
      'link set lo up',
      'link set eth0 up',
      'address add 10.1.0.2/24 dev eth0',
      'route add 10.2.0.0/24 via 10.1.0.1',
      row === 'bare' ? `route add blackhole ${SERVICE_RANGE}` : `route add ${SERVICE_RANGE} via 10.1.0.1`,
    ]);
    await ip(name('back'), [
      'link set lo up',
      'link set eth0 up',
      ...SERVERS.map((address) => `address add ${address}/24 dev eth0`),
      `route add ${POD_CIDR} via 10.2.0.1`,
    ]);
  }

  async #serve(row: Row, port: number, ...flags: readonly string[]): Promise<void> {
    const listeners = [...flags, ...SERVERS.map((address) => `${address}:${port}`)];
    const place = { netns: this.netns(row, 'back'), cgroup: this.#serverCgroup };
    const [file = '', ...argv] = placed([...this.#pinned, join(this.#directory, 'sink'), ...listeners], place);
    const server = spawn(file, argv, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
    const [said] = await Promise.race([once(server.stdout, 'data'), once(server, 'exit')]);
    server.unref();
    server.stdout.destroy();
    if (String(said).trim() !== 'ready') throw new Error(`Cannot start the servers: sink said "${said}"`);
  }
}

const ROWS = ['bare', 'tables'] as const;
export type Row = (typeof ROWS)[number];

/** Of those that we may run on; interrupts tend to be on the first. */
export const lastCpu = (status: string): string => /^Cpus_allowed_list:.*?(\d+)$/m.exec(status)?.[1] ?? '0';

/** Removes what runs left whose process is gone. */
async function sweep(): Promise<void> {
  const names = [...(await readdir(tmpdir())), ...(await readdir(await cgroup2Mount())), ...(await listNetns(PREFIX))]
    .map((name) => new RegExp(`^${PREFIX}(\\d+)-[^-]+`).exec(name))
    .filter((match) => match !== null && !existsSync(`/proc/${match[1]}`))
    .map((match) => match?.[0] ?? '');
  for (const name of new Set(names)) await clear(name);
}

async function clear(name: string): Promise<void> {
  const directory = join(tmpdir(), name);
  await removeCgroup(join(await cgroup2Mount(), name));
  if (existsSync(join(directory, 'bpf'))) removeEbpfDatapath(join(directory, 'bpf'));
  await removeNetns(await listNetns(`${name}-`));
  await rm(directory, { recursive: true, force: true });
}
