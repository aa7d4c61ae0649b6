/**
 * A place to try the eBPF datapath on the real kernel without touching the machine: a network namespace without a way
 * out, whose service ranges are blackholed, and a control group of its own. Servers answer with a byte that says who
 * they are. `end` takes everything away; a new rig also takes away what killed runs left.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { mountsBelow } from '@tombolo/machine/sweep.ts';
import { findCgroupRoot } from '@tombolo/node-agent/datapath/ebpf/mounts.ts';
import { type EbpfOptions, openEbpfDatapath, removeEbpfDatapath } from '@tombolo/node-agent/datapath/ebpf/open.ts';

const PREFIX = 'tbl-ebpf-';
const HERE = fileURLToPath(new URL('.', import.meta.url));
const BENCH = fileURLToPath(new URL('../../bench/', import.meta.url));
const BUILD = fileURLToPath(new URL('../../../scripts/build-bpf', import.meta.url));
const run = promisify(execFile);

/** What connect.c prints. */
export interface ConnectResult {
  readonly connections: number;
  readonly failures: number;
  readonly perSecond: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly replies: Readonly<Record<string, number>>;
}

export class Rig {
  readonly name: string;
  readonly directory: string;
  readonly cgroup: string;
  readonly #children = new Set<ChildProcess>();
  readonly #namespaces: string[] = [];

  private constructor(name: string, directory: string, cgroup: string) {
    this.name = name;
    this.directory = directory;
    this.cgroup = cgroup;
  }

  static create(): Rig {
    execFileSync(BUILD);
    const root = findCgroupRoot();
    if (!root.ok) throw new Error(`Cannot build a rig: ${root.error}`);
    for (const name of leftovers(root.value)) clear(name, root.value);
    const directory = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
    const name = basename(directory);
    const rig = new Rig(name, directory, join(root.value, name));
    mkdirSync(rig.cgroup);
    rig.addNamespace();
    const compile = (source: string, program: string): Buffer =>
      execFileSync('gcc', ['-O2', '-Wall', '-Werror', '-pthread', '-o', join(directory, program), source]);
    compile(join(BENCH, 'connect.c'), 'connect');
    compile(join(BENCH, 'sink.c'), 'sink');
    compile(join(HERE, 'socket-script.c'), 'socket-script');
    compile(join(HERE, 'datagram-sockets.c'), 'datagram-sockets');
    return rig;
  }

  /** Below a bpffs that the datapath has to mount itself. */
  get pinDir(): string {
    return join(this.directory, 'bpf');
  }

  open(options: Partial<EbpfOptions> = {}) {
    return openEbpfDatapath({ pinDir: this.pinDir, cgroupRoot: this.cgroup, sweepDelayMs: 20, ...options });
  }

  /** Addresses 10.200.0.1-9 and fd00:200::1-9 for servers; services in 10.96/16 and fd00:96::/64 lead nowhere, in 10.98/16 into silence. */
  addNamespace(): string {
    const name = `${this.name}-${this.#namespaces.length}`;
    execFileSync('ip', ['netns', 'add', name]);
    this.#namespaces.push(name);
    const ip = (...args: readonly string[]): Buffer => execFileSync('ip', ['-n', name, ...args]);
    ip('link', 'set', 'lo', 'up');
    for (let i = 1; i <= 9; i += 1) {
      ip('address', 'add', `10.200.0.${i}/32`, 'dev', 'lo');
      ip('address', 'add', `fd00:200::${i}/128`, 'dev', 'lo', 'nodad');
    }
    ip('route', 'add', 'blackhole', '10.96.0.0/16');
    ip('route', 'add', '10.98.0.0/16', 'dev', 'lo');
    ip('-6', 'route', 'add', 'blackhole', 'fd00:96::/64');
    return name;
  }

  /** Starts servers, each `ADDRESS:PORT=BYTE`, outside the control group; back when they answer. */
  async serve(kind: 'tcp' | 'udp', listeners: readonly string[], namespace = this.#namespaces[0]): Promise<void> {
    const flags = kind === 'udp' ? ['-u'] : [];
    const child = this.#spawn(namespace, undefined, 'sink', [...flags, ...listeners]);
    const [first] = await Promise.race([once(child.stdout ?? child, 'data'), once(child, 'exit')]);
    if (String(first).trim() !== 'ready') throw new Error(`Cannot serve ${listeners.join(' ')}: sink said "${first}"`);
  }

  /** Runs socket-script in the control group; returns its lines. */
  async script(kind: string, steps: readonly string[], namespace = this.#namespaces[0]): Promise<readonly string[]> {
    const { stdout } = await run('sh', this.#command(namespace, this.cgroup, 'socket-script', [kind, ...steps]));
    return stdout.trim().split('\n');
  }

  /** The same with a step `wait`, at which something is done. */
  async scriptAround(kind: string, steps: readonly string[], body: () => Promise<unknown>): Promise<readonly string[]> {
    const child = this.#spawn(this.#namespaces[0], this.cgroup, 'socket-script', [kind, ...steps], 'pipe');
    let said = '';
    child.stdout?.on('data', (part) => {
      said += String(part);
    });
    while (!said.includes('wait\n')) await once(child.stdout ?? child, 'data');
    await body();
    child.stdin?.end('go on\n');
    await once(child, 'close');
    return said.trim().split('\n');
  }

  /** Sockets that do not connect (datagram-sockets.c); what is asked of them is answered by one line. */
  datagramSockets(count: number, service: string): { ask(line: string): Promise<string>; close(): void } {
    const child = this.#spawn(this.#namespaces[0], this.cgroup, 'datagram-sockets', [`${count}`, service], 'pipe');
    if (!child.stdout) throw new Error('Cannot read what the sockets say');
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
      ask: async (line) => {
        child.stdin?.write(`${line}\n`);
        return (await lines.next()).value ?? '';
      },
      close: () => child.stdin?.end(),
    };
  }

  /** By which programs know the network namespace of `connect` and `script`. */
  async networkCookie(): Promise<bigint> {
    const module = fileURLToPath(import.meta.resolve('@tombolo/node-agent/datapath/ebpf/syscall.ts'));
    const script = `import { networkCookie } from '${module}'; console.log(String(networkCookie()));`;
    const node = [process.execPath, '--input-type=module', '-e', script];
    const { stdout } = await run('nsenter', [`--net=/run/netns/${this.#namespaces[0]}`, ...node]);
    return BigInt(stdout.trim());
  }

  async connect(args: readonly string[], cgroup: string | undefined = this.cgroup): Promise<ConnectResult> {
    const { stdout } = await run('sh', this.#command(this.#namespaces[0], cgroup, 'connect', args));
    return JSON.parse(stdout);
  }

  /** Connects without end, until `finish`. */
  connectOn(args: readonly string[]): { finish(): Promise<ConnectResult> } {
    const child = this.#spawn(this.#namespaces[0], this.cgroup, 'connect', ['-d', '36000', ...args]);
    const parts: string[] = [];
    child.stdout?.on('data', (part) => parts.push(String(part)));
    return {
      finish: async () => {
        child.kill('SIGTERM');
        await once(child, 'close');
        return JSON.parse(parts.join(''));
      },
    };
  }

  /** The command that leads to where clients are. */
  get way(): readonly string[] {
    const script = `echo $$ > '${this.cgroup}/cgroup.procs' && exec nsenter --net="/run/netns/$0" "$@"`;
    return ['sh', '-c', script, this.#namespaces[0] ?? ''];
  }

  /** Any program where servers are; back when it says `ready`. */
  async start(argv: readonly string[]): Promise<void> {
    const child = spawn('nsenter', [`--net=/run/netns/${this.#namespaces[0]}`, ...argv], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#children.add(child);
    const [first] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
    if (String(first).trim() !== 'ready') throw new Error(`Cannot start ${argv[0]}: it said "${first}"`);
  }

  async end(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    clear(this.name, this.cgroup.slice(0, -this.name.length));
  }

  #spawn(
    namespace: string | undefined,
    cgroup: string | undefined,
    program: string,
    args: readonly string[],
    stdin: 'ignore' | 'pipe' = 'ignore',
  ) {
    const child = spawn('sh', this.#command(namespace, cgroup, program, args), {
      stdio: [stdin, 'pipe', 'inherit'],
    });
    this.#children.add(child);
    return child;
  }

  #command(namespace = '', cgroup: string | undefined, program: string, args: readonly string[]): string[] {
    const enter = cgroup === undefined ? '' : `echo $$ > '${cgroup}/cgroup.procs' && `;
    const script = `${enter}exec nsenter --net="/run/netns/$0" "$@"`;
    return ['-c', script, namespace, join(this.directory, program), ...args];
  }
}

/** Rigs whose process is gone, by name. */
function leftovers(cgroupRoot: string): readonly string[] {
  const names = [...readdirSync(tmpdir()), ...readdirSync(cgroupRoot)].filter((name) => name.startsWith(PREFIX));
  return [...new Set(names)].filter((name) => {
    const pid = /^tbl-ebpf-(\d+)-/.exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  });
}

function clear(name: string, cgroupRoot: string): void {
  const directory = join(tmpdir(), name);
  const cgroup = join(cgroupRoot, name);
  if (existsSync(join(directory, 'bpf'))) removeEbpfDatapath(join(directory, 'bpf'));
  if (existsSync(cgroup)) {
    for (const pid of readFileSync(join(cgroup, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) {
      process.kill(Number(pid), 'SIGKILL');
    }
    rmdirSync(cgroup);
  }
  const namespaces = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  for (const namespace of namespaces.filter((entry) => entry.startsWith(`${name}-`))) {
    execFileSync('ip', ['netns', 'delete', namespace]);
  }
  for (const mount of mountsBelow(directory, readFileSync('/proc/self/mountinfo', 'utf8')))
    execFileSync('umount', [mount]);
  rmSync(directory, { recursive: true, force: true });
}
