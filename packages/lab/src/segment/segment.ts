/**
 * A network segment of namespaces: a switch, nodes with the agent's layer 2, a client, a stranger. Every node serves all
 * addresses, as the datapath does, and answers with its own letter. Nothing has a way out. `end` takes everything away; a new
 * one also takes away what killed runs left.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type IpAddress, ip } from '@tombolo/shared/model/ip.ts';
import type { Asked } from './asker.ts';
import { SPEAKER_PORT, type SpeakerConfig, type SpeakerState } from './speaker-config.ts';

const PREFIX = 'tbl-l2-';
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const run = promisify(execFile);
const PATIENCE_MS = 30_000;
export const PORT = 7_000;

/** One line of its input, one line of its output. */
export interface Asker {
  /** What came of the questions since it was asked last. */
  since(): Promise<Asked>;
}

export class Speaker {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  state: SpeakerState = { owners: {}, answers: [], problems: [], members: [] };
  log = '';

  constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    if (!child.stdout || !child.stderr) throw new Error('Cannot read what the speaker says');
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.state = JSON.parse(line);
      for (const look of [...this.#waiting]) look();
    });
    child.stderr.on('data', (part) => {
      this.log += String(part);
    });
  }

  /** Resolves when what it says fits. */
  async until(what: string, fits: (state: SpeakerState) => boolean): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${this.name}: not ${what} in time: ${JSON.stringify(this.state)}\n${this.log}`)),
        PATIENCE_MS,
      );
      const look = (): void => {
        if (!fits(this.state)) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  say(line: 'serve' | 'stop serving'): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exited;
  }
}

export class Segment {
  readonly name: string;
  readonly #directory: string;
  readonly #children = new Set<ChildProcess>();
  readonly #hosts = new Map<string, number>();
  readonly nodes: readonly string[];
  readonly addresses: readonly IpAddress[];

  private constructor(nodes: readonly string[], addresses: readonly IpAddress[]) {
    this.#directory = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
    this.name = basename(this.#directory);
    this.nodes = nodes;
    this.addresses = addresses;
  }

  static async create(nodes: readonly string[], addresses: readonly IpAddress[]): Promise<Segment> {
    execFileSync(here('../../../../scripts/build-bpf'));
    for (const name of leftovers()) clear(name);
    const segment = new Segment(nodes, addresses);
    execFileSync('gcc', [
      '-O2',
      '-pthread',
      '-o',
      join(segment.#directory, 'sink'),
      here('../../../../test/bench/sink.c'),
    ]);
    segment.#addNamespace('switch');
    segment.ip('switch', 'link add br0 type bridge mcast_snooping 0', 'link set br0 up');
    for (const node of [...nodes, 'client', 'stranger']) segment.#addHost(node);
    for (const node of nodes) await segment.#serve(node);
    return segment;
  }

  netns(host: string): string {
    return `${this.name}-${host}`;
  }

  ip(host: string, ...lines: readonly string[]): void {
    for (const line of lines) execFileSync('ip', ['-n', this.netns(host), ...line.split(' ')], { stdio: 'pipe' });
  }

  /** Runs a command there. */
  async run(host: string, argv: readonly string[]): Promise<string> {
    return (await run('nsenter', [`--net=/run/netns/${this.netns(host)}`, ...argv])).stdout;
  }

  /** Of a host's interface. */
  mac(host: string): string {
    return this.#link(host).address;
  }

  #link(host: string): { readonly address: string; readonly ifindex: number } {
    return JSON.parse(execFileSync('ip', ['-n', this.netns(host), '-j', 'link', 'show', 'eth0']).toString())[0];
  }

  addressOf(host: string, family: 4 | 6 = 4): IpAddress {
    return ip(family === 4 ? `10.77.0.${this.#hosts.get(host)}` : `fd77::${this.#hosts.get(host)}`);
  }

  /** Whose letter the client's neighbour table has at an address; undefined: nobody's. */
  neighbor(address: IpAddress): string | undefined {
    const entries = JSON.parse(execFileSync('ip', ['-n', this.netns('client'), '-j', 'neigh']).toString());
    const mac = entries.find((entry: { readonly dst: string }) => entry.dst === address)?.lladdr;
    return this.nodes.find((node) => this.mac(node) === mac);
  }

  async untilNeighbor(address: IpAddress, node: string): Promise<void> {
    for (const until = performance.now() + PATIENCE_MS; this.neighbor(address) !== node; ) {
      if (performance.now() > until)
        throw new Error(`The client has ${address} at ${this.neighbor(address)}, not ${node}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  speak(node: string, key = 'secret'): Speaker {
    const nodes = Object.fromEntries(this.nodes.map((name) => [name, this.addressOf(name)]));
    const config: SpeakerConfig = { me: node, nodes, key, addresses: this.addresses };
    return new Speaker(node, this.#spawn(node, [process.execPath, here('speaker.ts'), JSON.stringify(config)]));
  }

  async ask(address: IpAddress): Promise<Asker> {
    const child = this.#spawn('client', [process.execPath, here('asker.ts'), address, `${PORT}`]);
    if (!child.stdout) throw new Error('Cannot read what the client says');
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const since = async (): Promise<Asked> => {
      child.stdin?.write('\n');
      return JSON.parse((await lines.next()).value ?? '');
    };
    for (let asked = await since(); asked.answered === 0; ) asked = await since();
    return { since };
  }

  /** Says, as it were, that the address is this host's. */
  async claim(host: string, address: IpAddress): Promise<void> {
    await this.run(host, [process.execPath, here('claim.ts'), address, this.mac(host), `${this.#link(host).ifindex}`]);
  }

  async cutHeartbeats(node: string): Promise<void> {
    const chain = (hook: string): string =>
      `add chain inet cut ${hook} { type filter hook ${hook} priority 0; udp dport ${SPEAKER_PORT} drop; }`;
    await this.run(node, ['nft', `add table inet cut; ${chain('input')}; ${chain('output')}`]);
  }

  async mendHeartbeats(node: string): Promise<void> {
    await this.run(node, ['nft', 'delete table inet cut']);
  }

  async end(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(
      [...this.#children].map((child) => (child.exitCode ?? child.signalCode) === null && once(child, 'exit')),
    );
    clear(this.name);
  }

  #addNamespace(host: string): void {
    execFileSync('ip', ['netns', 'add', this.netns(host)]);
    this.ip(host, 'link set lo up');
  }

  #addHost(host: string): void {
    const number = this.#hosts.size + 1;
    this.#hosts.set(host, number);
    this.#addNamespace(host);
    this.ip(
      'switch',
      `link add name port-${host} type veth peer name eth0 netns ${this.netns(host)}`,
      `link set port-${host} master br0 up`,
    );
    this.ip(
      host,
      `addr add 10.77.0.${number}/24 dev eth0`,
      `addr add fd77::${number}/64 dev eth0 nodad`,
      'link set eth0 up',
    );
    if (!this.nodes.includes(host)) return;
    // The kernel is to know nothing of who answers for them.
    execFileSync('nsenter', [
      `--net=/run/netns/${this.netns(host)}`,
      'sh',
      '-c',
      'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore',
    ]);
    for (const address of this.addresses)
      this.ip(host, address.includes(':') ? `addr add ${address}/128 dev lo nodad` : `addr add ${address}/32 dev lo`);
  }

  async #serve(node: string): Promise<void> {
    const listeners = this.addresses.map(
      (address) => `${address.includes(':') ? `[${address}]` : address}:${PORT}=${node}`,
    );
    const child = this.#spawn(node, [join(this.#directory, 'sink'), '-u', ...listeners]);
    const [first] = await Promise.race([once(child.stdout ?? child, 'data'), once(child, 'exit')]);
    if (String(first).trim() !== 'ready') throw new Error(`Cannot serve at ${node}: sink said "${first}"`);
  }

  #spawn(host: string, argv: readonly string[]): ChildProcess {
    const child = spawn('nsenter', [`--net=/run/netns/${this.netns(host)}`, ...argv], { stdio: 'pipe' });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }
}

/** Of runs that are over. */
const leftovers = (): readonly string[] =>
  readdirSync(tmpdir()).filter((name) => {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  });

function clear(name: string): void {
  const namespaces = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  for (const netns of namespaces.filter((each) => each.startsWith(`${name}-`)))
    execFileSync('ip', ['netns', 'del', netns]);
  rmSync(join(tmpdir(), name), { recursive: true, force: true });
}
