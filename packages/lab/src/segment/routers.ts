/**
 * Routers in network namespaces on one segment: FRR beside an agent (a node), FRR and BIRD as the network's own. Nothing has
 * a way out. `end` takes everything away; a new segment also takes away what killed runs left.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const PREFIX = 'tbl-bgp-';
const FRR = '/usr/lib/frr';
const run = promisify(execFile);
const PATIENCE_MS = 30_000;

export async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  let last: unknown;
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; ) {
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`Not in time: ${what}`, { cause: last });
}

export class RouterSegment {
  readonly directory: string;
  readonly name: string;
  readonly #children = new Set<ChildProcess>();
  readonly #hosts: string[] = [];

  constructor() {
    for (const name of leftovers()) clear(name);
    this.directory = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
    this.name = basename(this.directory);
    chmodSync(this.directory, 0o755);
    this.#addNamespace('switch');
    this.ip('switch', 'link add br0 type bridge mcast_snooping 0', 'link set br0 up');
  }

  /** With 10.78.0.N and fd78::N, N counted from 1. */
  addHost(host: string): { readonly v4: string; readonly v6: string } {
    this.#hosts.push(host);
    const n = this.#hosts.length;
    this.#addNamespace(host);
    this.ip(
      'switch',
      `link add name port-${host} type veth peer name eth0 netns ${this.netns(host)}`,
      `link set port-${host} master br0 up`,
    );
    this.ip(host, `addr add 10.78.0.${n}/24 dev eth0`, `addr add fd78::${n}/64 dev eth0 nodad`, 'link set eth0 up');
    return { v4: `10.78.0.${n}`, v6: `fd78::${n}` };
  }

  netns(host: string): string {
    return `${this.name}-${host}`;
  }

  ip(host: string, ...lines: readonly string[]): void {
    for (const line of lines) execFileSync('ip', ['-n', this.netns(host), ...line.split(' ')], { stdio: 'pipe' });
  }

  async run(host: string, argv: readonly string[]): Promise<string> {
    return (await run('nsenter', [`--net=/run/netns/${this.netns(host)}`, ...argv])).stdout;
  }

  spawn(host: string, argv: readonly string[]): ChildProcess {
    const child = spawn('nsenter', [`--net=/run/netns/${this.netns(host)}`, ...argv], { stdio: 'ignore' });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  place(host: string): RouterPlace {
    return { directory: join(this.directory, host), spawn: (argv) => this.spawn(host, argv) };
  }

  async end(): Promise<void> {
    const children = [...this.#children];
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
    clear(this.name);
  }

  #addNamespace(host: string): void {
    execFileSync('ip', ['netns', 'add', this.netns(host)]);
    this.ip(host, 'link set lo up');
  }
}

/** Where a router runs: a directory of its own, and how a program is started there. */
export interface RouterPlace {
  readonly directory: string;
  spawn(argv: readonly string[]): ChildProcess;
}

/** FRR's daemons in one namespace. */
export class Frr {
  readonly #place: RouterPlace;
  readonly #isNode: boolean;
  readonly #daemons = new Map<string, ChildProcess>();

  /** `isNode`: as beside an agent, where bgpd installs no routes. */
  constructor(place: RouterPlace, isNode: boolean) {
    this.#place = place;
    this.#isNode = isNode;
    mkdirSync(this.directory);
    execFileSync('chown', ['frr:frr', this.directory]);
  }

  get directory(): string {
    return this.#place.directory;
  }

  async start(config = ''): Promise<void> {
    const zebra = ['-z', join(this.directory, 'zserv.api')];
    const common = [...zebra, '--vty_socket', this.directory, '-P', '0'];
    const files = (name: string): readonly string[] => {
      const file = join(this.directory, `${name}.conf`);
      writeFileSync(file, name === 'bgpd' ? config : '', { mode: 0o644 });
      return ['-f', file, '-i', join(this.directory, `${name}.pid`)];
    };
    for (const [name, more] of [
      ['zebra', []],
      ['bgpd', this.#isNode ? ['-n'] : []],
      ['bfdd', ['--bfdctl', join(this.directory, 'bfdd.sock')]],
    ] as const) {
      const vty = join(this.directory, `${name}.vty`);
      rmSync(vty, { force: true });
      this.#daemons.set(name, this.#place.spawn([join(FRR, name), ...files(name), ...common, ...more]));
      await until(`${name} to be there`, async () => existsSync(vty));
    }
  }

  async kill(): Promise<void> {
    for (const child of this.#daemons.values()) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    this.#daemons.clear();
  }

  async ask<T>(command: string): Promise<T> {
    const { stdout } = await run('vtysh', ['--vty_socket', this.directory, '-d', 'bgpd', '-c', command]);
    return JSON.parse(stdout) as T;
  }

  async text(command: string, daemon = 'bgpd'): Promise<string> {
    return (await run('vtysh', ['--vty_socket', this.directory, '-d', daemon, '-c', command])).stdout;
  }
}

export class Bird {
  readonly #control: string;
  readonly #child: ChildProcess;

  constructor(segment: RouterSegment, host: string, config: string) {
    const directory = join(segment.directory, `bird-${host}`);
    mkdirSync(directory);
    this.#control = join(directory, 'bird.ctl');
    writeFileSync(join(directory, 'bird.conf'), config);
    this.#child = segment.spawn(host, [
      'bird',
      '-f',
      '-c',
      join(directory, 'bird.conf'),
      '-s',
      this.#control,
      '-P',
      join(directory, 'pid'),
    ]);
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }

  async show(what: string): Promise<string> {
    return (await run('birdc', ['-r', '-s', this.#control, 'show', ...what.split(' ')])).stdout;
  }
}

const leftovers = (): readonly string[] =>
  readdirSync(tmpdir()).filter((name) => {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  });

function clear(name: string): void {
  const namespaces = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  for (const netns of namespaces.filter((each) => each.startsWith(`${name}-`))) {
    const pids = execFileSync('ip', ['netns', 'pids', netns]).toString().split('\n').filter(Boolean);
    for (const pid of pids) process.kill(Number(pid), 'SIGKILL');
    execFileSync('ip', ['netns', 'del', netns]);
  }
  rmSync(join(tmpdir(), name), { recursive: true, force: true });
}
