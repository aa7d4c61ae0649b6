/**
 * A place to try the nftables datapath on the real kernel: namespaces of our own without a way out.
 *
 *   pod 10.1.0.2 ─┐
 *                 ├─ node ── back 10.2.0.11-14 (four servers that answer with their number)
 *   client 192.0.2.2 ─┘      back has no route to the client: replies need masquerading
 *
 * The service ranges 10.96/16 and fd96::/64 are blackholed in the node, so what is not translated dies there. `end` takes
 * all away; a new rig also takes away what killed runs left.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { enterNetns } from '@tombolo/lab/bench/enter-netns.ts';
import { command } from '@tombolo/machine/command.ts';
import { createNetns, ip as ipCommand, removeNetns, setSysctls } from '@tombolo/machine/netns.ts';
import { unmountBelow } from '@tombolo/machine/sweep.ts';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { openNftablesDatapath } from '@tombolo/node-agent/datapath/nftables/open.ts';
import { NO_NODE_FACTS, type NodeFacts } from '@tombolo/node-agent/datapath/node-facts.ts';
import { type Cidr, ip } from '@tombolo/shared/model/ip.ts';
import type { FrontendRoute, RouteBackend, Routes } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';

const PREFIX = 'tbl-nft-';
const TABLE = 'tombolo';
const BENCH = fileURLToPath(new URL('../../bench/', import.meta.url));

/** What connect.c prints. */
export interface ConnectResult {
  readonly connections: number;
  readonly failures: number;
  readonly errors: Readonly<Record<string, number>>;
  /** By the byte that the server answered with. */
  readonly replies: Readonly<Record<string, number>>;
}

export type Pod = 'late' | 'left' | 'right';
export type Place = 'pod' | 'node' | 'back' | 'client' | Pod;
const PLACES: readonly Place[] = ['pod', 'node', 'back', 'client'];
const PODS: readonly Pod[] = ['late', 'left', 'right'];

export class Rig {
  readonly directory: string;
  readonly #children: ChildProcess[] = [];
  readonly #open: Datapath[] = [];

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<Rig> {
    await removeLeftovers();
    const directory = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
    const rig = new Rig(directory);
    for (const program of ['connect', 'sink']) {
      const source = join(BENCH, `${program}.c`);
      execFileSync('gcc', ['-O2', '-Wall', '-pthread', '-o', join(directory, program), source]);
    }
    try {
      await rig.#build();
    } catch (error) {
      await rig.end();
      throw error;
    }
    return rig;
  }

  netns(place: Place): string {
    return `${basename(this.directory)}-${place}`;
  }

  /** A datapath in the node's namespace; closed at the end. */
  async open(pods: readonly Cidr[] = [], node = (): NodeFacts => NO_NODE_FACTS): Promise<Datapath> {
    const facts = pods.length === 0 ? node : constantly({ ...NO_NODE_FACTS, pods });
    const options = { table: TABLE, log: silentLogger, node: facts };
    const opened = await enterNetns(this.netns('node'), () => openNftablesDatapath(options));
    if (!opened.ok) throw new Error(`Cannot open the datapath: ${opened.error}`);
    this.#open.push(opened.value);
    return opened.value;
  }

  run(place: Place, argv: readonly string[]): Promise<string> {
    return command(argv, { netns: this.netns(place) });
  }

  nft(...args: readonly string[]): Promise<string> {
    return this.run('node', ['nft', ...args]);
  }

  /** `ADDRESS:PORT=BYTE` each; back when they answer. */
  async serve(place: Place, listeners: readonly string[], flags: readonly string[] = []): Promise<void> {
    const child = this.#start(place, [this.#program('sink'), ...flags, ...listeners]);
    const [first] = await Promise.race([once(child.stdout ?? child, 'data'), once(child, 'exit')]);
    if (String(first).trim() !== 'ready') throw new Error(`Cannot serve ${listeners.join(' ')}: sink said "${first}"`);
  }

  /** The transactions in the node's namespace while `body` runs, as `nft monitor` tells of them. */
  async transactionsOf(body: () => Promise<unknown>): Promise<string> {
    const monitor = spawn('ip', ['netns', 'exec', this.netns('node'), 'nft', 'monitor'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#children.push(monitor);
    let said = '';
    const heard = async (table: string): Promise<void> => {
      while (!said.includes(`add table ip ${table}`)) {
        // Told once only, so again until somebody listens.
        await this.nft(`add table ip ${table}; delete table ip ${table}`);
        await Promise.race([once(monitor.stdout, 'data'), sleep(50)]);
      }
    };
    monitor.stdout.on('data', (part) => {
      said += String(part);
    });
    await heard('tbl-begin');
    await body();
    await heard('tbl-end');
    monitor.kill('SIGKILL');
    return said
      .split('\n')
      .filter((line) => !/^# new generation|^(add|delete) table ip tbl-|^$/.test(line))
      .join('\n');
  }

  async connect(place: Place, args: readonly string[]): Promise<ConnectResult> {
    return JSON.parse(await this.run(place, [this.#program('connect'), ...args]));
  }

  /** Connects without end, until `finish`. */
  connectOn(place: Place, args: readonly string[]): { finish(): Promise<ConnectResult> } {
    const child = this.#start(place, [this.#program('connect'), '-d', '36000', ...args]);
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

  /** Another pod of the node, whose end of the link has this address there. */
  async addPod(name: Pod, near: string, far: string): Promise<Place> {
    await this.#join(name, far, near, [`address add ${near}/24 dev ${name}`]);
    return name;
  }

  /** Pods at a bridge of the node, which has this address. */
  async addBridge(near: string, pods: readonly (readonly [name: Pod, address: string])[]): Promise<void> {
    await ipCommand(this.netns('node'), [
      'link add bridge type bridge',
      'link set bridge up',
      `address add ${near}/24 dev bridge`,
    ]);
    for (const [name, address] of pods) await this.#join(name, address, near, [`link set ${name} master bridge`]);
  }

  /** Runs until it is stopped, at the latest at the end; once it has said something. */
  async start(place: Place, argv: readonly string[]): Promise<{ stop(): void }> {
    const child = this.#start(place, argv);
    await Promise.race([once(child.stdout ?? child, 'data'), once(child, 'exit')]);
    return { stop: () => child.kill('SIGKILL') };
  }

  /** Sends one datagram from this source port; the answered byte, or what went wrong. */
  async udp(place: Place, address: string, port: number, sourcePort: number): Promise<string> {
    const script = `
      const socket = require('node:dgram').createSocket('${address.includes(':') ? 'udp6' : 'udp4'}');
      socket.on('message', (m) => { console.log(m[0]); process.exit(); });
      socket.on('error', (e) => { console.log(e.code); process.exit(); });
      setTimeout(() => { console.log('silence'); process.exit(); }, 3000);
      socket.bind(${sourcePort}, () => socket.connect(${port}, '${address}', () => socket.send('x')));`;
    return (await this.run(place, [process.execPath, '-e', script])).trim();
  }

  async end(): Promise<void> {
    for (const datapath of this.#open) await datapath.close();
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await removeNetns([...PLACES, ...PODS].map((place) => this.netns(place)));
    rmSync(this.directory, { recursive: true, force: true });
  }

  #program(name: string): string {
    return join(this.directory, name);
  }

  #start(place: Place, argv: readonly string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.netns(place), ...argv], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.push(child);
    return child;
  }

  async #join(name: Pod, address: string, router: string, lines: readonly string[]): Promise<void> {
    const netns = this.netns(name);
    await createNetns([netns]);
    const link = `link add ${name} type veth peer name eth0 netns ${netns}`;
    await ipCommand(this.netns('node'), [link, `link set ${name} up`, ...lines]);
    await ipCommand(netns, [
      ...['link set lo up', 'link set eth0 up', `address add ${address}/24 dev eth0`],
      `route add 10.0.0.0/8 via ${router}`,
      `route add 192.0.2.0/24 via ${router}`,
    ]);
    await ipCommand(this.netns('back'), [`route add ${address}/32 via 10.2.0.1`]);
  }

  async #build(): Promise<void> {
    await createNetns(PLACES.map((place) => this.netns(place)));
    const link = (near: string, far: Place): string =>
      `link add ${near} type veth peer name eth0 netns ${this.netns(far)}`;
    await ipCommand(this.netns('node'), [link('pod', 'pod'), link('back', 'back'), link('client', 'client')]);
    await setSysctls(this.netns('node'), { 'net/ipv4/ip_forward': 1, 'net/ipv6/conf/all/forwarding': 1 });
    await ipCommand(this.netns('node'), [
      ...['pod', 'back', 'client', 'lo'].map((name) => `link set ${name} up`),
      ...['10.1.0.1/24 dev pod', '10.2.0.1/24 dev back', '192.0.2.1/24 dev client'].map((a) => `address add ${a}`),
      ...['fd01::1/64 dev pod', 'fd02::1/64 dev back', 'fd03::1/64 dev client'].map((a) => `address add ${a} nodad`),
      ...['10.96.0.0/16', 'fd96::/64'].map((range) => `route add blackhole ${range}`),
      // For this host's own packets: a route is needed before they can be translated. The backends drop what is not.
      'route add 10.97.0.0/16 via 10.2.0.11',
    ]);
    const far = (place: Place, lines: readonly string[]): Promise<void> =>
      ipCommand(this.netns(place), ['link set lo up', 'link set eth0 up', ...lines]);
    await far('pod', [
      'address add 10.1.0.2/24 dev eth0',
      'address add fd01::2/64 dev eth0 nodad',
      'route add 10.0.0.0/8 via 10.1.0.1',
      'route add 192.0.2.0/24 via 10.1.0.1',
      'route add fd96::/64 via fd01::1',
      'route add fd02::/64 via fd01::1',
    ]);
    await far('back', [
      ...[11, 12, 13, 14].map((end) => `address add 10.2.0.${end}/24 dev eth0`),
      ...[11, 12].map((end) => `address add fd02::${end}/64 dev eth0 nodad`),
      'route add 10.1.0.0/24 via 10.2.0.1',
      'route add fd01::/64 via fd02::1',
    ]);
    await far('client', [
      'address add 192.0.2.2/24 dev eth0',
      'address add fd03::2/64 dev eth0 nodad',
      'route add 10.96.0.0/16 via 192.0.2.1',
      'route add 10.97.0.0/16 via 192.0.2.1',
      'route add fd96::/64 via fd03::1',
    ]);
  }
}

const constantly =
  <T>(value: T) =>
  () =>
    value;

/** Those of processes that are gone, by name. */
async function removeLeftovers(): Promise<void> {
  const dead = (name: string): boolean => {
    const pid = /^tbl-nft-(\d+)-/.exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  };
  await removeNetns((existsSync('/run/netns') ? readdirSync('/run/netns') : []).filter(dead));
  for (const name of readdirSync(tmpdir()).filter(dead)) {
    const directory = join(tmpdir(), name);
    await unmountBelow(directory);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** `TCP 10.96.0.1:80`, with a kind where it matters. */
export function frontend(text: string, kind: Frontend['kind'] = 'ClusterIP'): Frontend {
  const [protocol = '', rest = ''] = text.split(' ');
  const colon = rest.lastIndexOf(':');
  const address = ip(rest.slice(0, colon).replace(/[[\]]/g, ''));
  return { kind, address, port: Number(rest.slice(colon + 1)), protocol: protocol as Frontend['protocol'] };
}

/** Backends as `ADDRESS:PORT`; their cluster is 1 up to 10.2.0.12, else 2. */
export const route = (front: Frontend, to: readonly string[], sessionAffinitySeconds = 0): FrontendRoute => ({
  frontend: front,
  backends: backends(to),
  sessionAffinitySeconds,
});

export const backends = (to: readonly string[]): readonly RouteBackend[] =>
  to.map((text) => {
    const { address, port } = frontend(`TCP ${text}`);
    return { address, port, clusterId: /1[34]$/.test(address) ? 2 : 1 };
  });

export const routes = (...list: readonly FrontendRoute[]): Routes =>
  new Map(list.map((each) => [frontendId(each.frontend), each]));

export const four = (port = 8080): string[] => [11, 12, 13, 14].map((end) => `10.2.0.${end}:${port}`);
