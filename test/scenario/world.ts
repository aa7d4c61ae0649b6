/**
 * One node of cluster `east` (id 1), and other clusters, without a network: the agent's core and mesh as they are, over
 * etcds, a kernel and a clock in memory, and over files in a directory of its own. Each command changes a fact or prints
 * something; what it leads to has reached the kernel before the next.
 */
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CoreOptions } from '@tombolo/node-agent/core.ts';
import { MemoryKernel } from '@tombolo/node-agent/datapath/memory.fixture.ts';
import { settle } from '@tombolo/node-agent/mesh/mesh.fixture.ts';
import { type ClusterName, parseClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import type {
  Affinity,
  LocalEndpointSlice,
  LocalNamespace,
  LocalNode,
  LocalService,
  ServiceKey,
} from '@tombolo/shared/model/service.ts';
import { FakeClock } from '@tombolo/shared/process/clock.fixture.ts';
import { Agent } from './agent.ts';
import {
  type Arguments,
  addresses,
  cidrs,
  list,
  ORIGIN,
  parseArguments,
  parseDuration,
  parseEndpoints,
  parsePorts,
} from './arguments.ts';
import { printClusters, printKernel, printTable } from './print.ts';
import { type ExportMode, parseExportMode, RemoteCluster } from './remote-cluster.ts';

const HEARTBEAT_MS = 30_000;
/** What has not happened by then never will. */
const MOST_LOOKS = 2_000;

export class World {
  readonly #directory: string;
  readonly #clock = new FakeClock();
  readonly #kernel = new MemoryKernel();
  readonly #clusters = new Map<string, RemoteCluster>();
  /** Names of the files in the clustermesh directory. */
  readonly #files = new Set<string>();
  /** What the local Kubernetes API holds: each agent hears it anew. */
  readonly #services = new Map<ServiceKey, LocalService>();
  readonly #slices = new Map<string, LocalEndpointSlice>();
  readonly #namespaces = new Map<string, LocalNamespace>();
  #node: LocalNode = { name: 'east-1', zone: '', addresses: [], podCidrs: [] };
  #ranges: readonly string[] = [];
  #config = CONFIG;
  #agent: Agent | undefined;
  /** Slices that it was told of. */
  #told: ReadonlySet<string> = new Set();
  #closed = false;

  private constructor(directory: string) {
    this.#directory = directory;
    for (const name of ['shop', 'default']) this.#namespaces.set(name, { name, global: undefined, labels: {} });
  }

  static async create(): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'tbl-scenario-')));
    await mkdir(world.#mesh);
    await world.#start(false);
    return world;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#stop();
    await rm(this.#directory, { recursive: true });
  }

  async run(command: string): Promise<readonly string[]> {
    const [verb = '', ...words] = command.split(/\s+/);
    const args = parseArguments(words);
    const printed = await this.#execute(verb, args);
    await this.#settle();
    return printed;
  }

  /** Whatever a cluster may write into its etcd; without a value, the key is deleted. */
  async write(cluster: string, key: string, value: string | undefined): Promise<void> {
    const { etcd } = this.#cluster(cluster);
    if (value === undefined) etcd.delete(key);
    else etcd.put(key, value);
    await this.#settle();
  }

  async #execute(verb: string, args: Arguments): Promise<readonly string[]> {
    const { first, rest, flags, options } = args;
    switch (verb) {
      case 'service':
        this.#services.set(first as ServiceKey, serviceOf(args));
        break;
      case 'slice':
        this.#slices.set(first, sliceOf(args));
        break;
      case 'delete':
        (first === 'service' ? this.#services : this.#slices).delete(rest[0] as ServiceKey);
        break;
      case 'namespace':
        this.#namespaces.set(first, { name: first, global: options.get('global') !== 'false', labels: {} });
        break;
      case 'node':
        this.#node = { ...this.#node, zone: options.get('zone') ?? '', podCidrs: list(options.get('pods')) };
        break;
      case 'service-ranges':
        this.#ranges = first === '' ? [] : [first, ...rest];
        break;
      case 'cluster':
        await this.#announce(first, Number(options.get('id')), parseExportMode(options.get('export') ?? ''));
        break;
      case 'hear':
        this.#cluster(first).export(rest[0] ?? '', rest.slice(1), options);
        break;
      case 'withdraw':
        await this.#cluster(first).withdraw(rest[0] ?? '');
        break;
      case 'synced':
        await this.#cluster(first).synced();
        break;
      case 'lose':
        await this.#cluster(first).lose(rest);
        break;
      case 'snapshot':
        this.#cluster(first).snapshot();
        break;
      case 'restore':
        this.#cluster(first).restore();
        break;
      case 'silent':
        this.#cluster(first).down();
        await this.#pass(3 * 60_000);
        break;
      case 'back':
        await this.#cluster(first).up();
        await this.#pass(60_000);
        break;
      case 'remove':
        await this.#removeFile(first);
        break;
      case 'pass':
        await this.#pass(parseDuration(first));
        break;
      case 'set-clock':
        this.#clock.setWallTime(this.#clock.wallTime() + parseDuration(first));
        break;
      case 'file':
        await this.#spoilFile(first, rest[0] ?? '');
        break;
      case 'lose-state':
        await rm(this.#stateFile, { force: true });
        break;
      case 'stop':
        await this.#stop();
        break;
      case 'kill':
        await this.#kill();
        break;
      case 'start':
      case 'restart':
        await this.#stop();
        this.#config = configOf(this.#config, options);
        await this.#start(first === 'remotes-first' || flags.has('remotes-first'));
        break;
      case 'table':
        return printTable(this.#running.core.table);
      case 'clusters':
        return printClusters(this.#running.core.facts.statuses);
      case 'kernel':
        return printKernel(this.#kernel);
      default:
        throw new Error(`No such command: ${verb}`);
    }
    if (LOCAL.has(verb)) this.#tellLocal();
    return [];
  }

  /** Absolute facts: all of them are told, as after a listing. */
  #tellLocal(): void {
    if (!this.#agent) return;
    const { core } = this.#agent;
    const { local } = core.table;
    core.table.setNode(this.#node);
    core.table.setServiceRanges(cidrs(this.#ranges));
    for (const [name, namespace] of this.#namespaces) local.setNamespace(name, namespace);
    for (const key of [...local.services.keys()]) if (!this.#services.has(key)) local.setService(key, undefined);
    for (const [key, service] of this.#services) local.setService(key, service);
    for (const key of this.#told) if (!this.#slices.has(key)) local.setSlice(key, undefined);
    for (const [key, slice] of this.#slices) local.setSlice(key, slice);
    this.#told = new Set(this.#slices.keys());
    core.changed();
  }

  async #start(remotesFirst: boolean): Promise<void> {
    const agent = await Agent.start({
      config: this.#config,
      kernel: this.#kernel,
      clock: this.#clock,
      stateFile: this.#stateFile,
      directory: this.#mesh,
      connect: ({ endpoints }) => this.#cluster(new URL(endpoints[0] ?? '').hostname).etcd.reader(),
    });
    this.#agent = agent;
    this.#told = new Set();
    const tellAll = (): void => {
      this.#tellLocal();
      agent.localSynced();
    };
    if (!remotesFirst) tellAll();
    await this.#until(() => agent.looked && [...this.#files].every((name) => agent.knows(name)));
    await settle();
    if (remotesFirst) tellAll();
  }

  async #stop(): Promise<void> {
    await this.#agent?.stop();
    this.#agent = undefined;
  }

  /** It writes nothing any more: what it saved last stays. */
  async #kill(): Promise<void> {
    const copy = `${this.#stateFile}.copy`;
    await copyFile(this.#stateFile, copy);
    await this.#stop();
    await rename(copy, this.#stateFile);
  }

  /** Its settings, in its etcd; and its file in the clustermesh directory, when it is new. */
  async #announce(name: string, id: number, exportMode: ExportMode): Promise<void> {
    const cluster = this.#clusters.get(name) ?? new RemoteCluster(name);
    this.#clusters.set(name, cluster);
    await cluster.announce(id, exportMode);
    await this.#writeFile(name);
    if (this.#agent) await this.#until(() => this.#running.knows(name));
  }

  async #writeFile(name: string): Promise<void> {
    await rm(join(this.#mesh, name), { force: true });
    await writeFile(join(this.#mesh, name), `endpoints:\n- http://${name}:2379\n`);
    this.#files.add(name);
  }

  /** Or makes it whole again. */
  async #spoilFile(name: string, how: string): Promise<void> {
    const path = join(this.#mesh, name);
    if (how === 'whole') {
      await this.#writeFile(name);
      return this.#until(() => this.#running.follows(name));
    }
    this.#files.delete(name);
    await rm(path);
    if (how === 'empty') await writeFile(path, '');
    else if (how === 'unreadable') await symlink(name, path);
    else if (how !== 'gone') throw new Error(`No such fault of a file: ${how}`);
  }

  async #removeFile(name: string): Promise<void> {
    await rm(join(this.#mesh, name));
    this.#files.delete(name);
    if (this.#agent) await this.#until(() => !this.#running.knows(name));
  }

  /** Time goes by, and the clusters that are alive say so. */
  async #pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= HEARTBEAT_MS) {
      await this.#clock.advance(Math.min(left, HEARTBEAT_MS));
      for (const cluster of this.#clusters.values()) await cluster.beat();
      await settle();
    }
  }

  /** For what waits for real files: each look lets those before it through. */
  async #until(isTrue: () => boolean): Promise<void> {
    for (let looks = 0; !isTrue(); looks++) {
      if (this.#closed || looks > MOST_LOOKS) throw new Error(`Waited in vain until ${isTrue}`);
      await this.#clock.advance(1);
      await readdir(this.#mesh);
    }
  }

  /** Until nothing more comes of what was done. */
  async #settle(): Promise<void> {
    await settle();
    await settle();
    await this.#agent?.settled();
  }

  get #running(): Agent {
    if (!this.#agent) throw new Error('No agent runs');
    return this.#agent;
  }

  #cluster(name: string): RemoteCluster {
    const known = this.#clusters.get(name);
    if (!known) throw new Error(`No cluster ${name} yet`);
    return known;
  }

  get #mesh(): string {
    return join(this.#directory, 'clustermesh');
  }

  get #stateFile(): string {
    return join(this.#directory, 'agent.state');
  }
}

const EAST = parseClusterIdentity('east', 1);
if (!EAST.ok) throw new Error(EAST.error);

const CONFIG: CoreOptions['config'] = {
  cluster: EAST.value,
  nodeName: 'east-1',
  scope: 'global',
  defaultGlobalNamespace: true,
  remotePerFrontend: 100,
  remotePerCluster: 1000,
};

/** The settings before, and what the command says of them. */
function configOf(before: CoreOptions['config'], options: Arguments['options']): CoreOptions['config'] {
  const { name, id } = before.cluster;
  const cluster = parseClusterIdentity(options.get('name') ?? name, Number(options.get('id') ?? id));
  if (!cluster.ok) throw new Error(cluster.error);
  return {
    ...before,
    cluster: cluster.value,
    scope: (options.get('scope') ?? before.scope) === 'all' ? 'all' : 'global',
    defaultGlobalNamespace: (options.get('default-global') ?? String(before.defaultGlobalNamespace)) === 'true',
    remotePerFrontend: Number(options.get('per-frontend') ?? before.remotePerFrontend),
    remotePerCluster: Number(options.get('per-cluster') ?? before.remotePerCluster),
  };
}

/** Commands after which the local Kubernetes API has something else. */
const LOCAL: ReadonlySet<string> = new Set(['service', 'slice', 'delete', 'namespace', 'node', 'service-ranges']);

/** `east:90,west:10`. */
function weightsIn(text: string | undefined): LocalService['clusterWeights'] {
  if (text === undefined) return undefined;
  const pairs = text.split(',').map((pair) => pair.split(':'));
  return new Map(pairs.map(([name, weight]) => [name as ClusterName, Number(weight)]));
}

const serviceOf = ({ first, flags, options }: Arguments): LocalService => ({
  key: first as ServiceKey,
  uid: options.get('uid') ?? `uid of ${first}`,
  createdAt: options.get('created') ?? '',
  global: flags.has('global'),
  shared: options.get('shared') !== 'false',
  affinity: (options.get('affinity') ?? 'none') as Affinity,
  clusterWeights: weightsIn(options.get('weights')),
  clusterIps: addresses(options.get('ip')),
  externalIps: addresses(options.get('external')),
  loadBalancerIps: addresses(options.get('balancer')),
  sourceRanges: cidrs(list(options.get('sources'))),
  ports: parsePorts(options.get('ports')).map((port) => ({ ...port, nodePort: 0 })),
  sessionAffinitySeconds: 0,
  internalTrafficPolicy: options.get('policy') === 'Local' ? 'Local' : 'Cluster',
  externalTrafficPolicy: options.get('outside-policy') === 'Local' ? 'Local' : 'Cluster',
  staysClose: flags.has('close'),
  healthCheckNodePort: 0,
  labels: {},
  selector: {},
  origin: ORIGIN,
});

function sliceOf({ first, rest, options }: Arguments): LocalEndpointSlice {
  const ports = parsePorts(options.get('ports'));
  const hints = list(options.get('hints'));
  return {
    key: first,
    service: (options.get('of') ?? '') as ServiceKey,
    headless: options.get('headless') === 'true',
    endpoints: rest.flatMap((word) => parseEndpoints(word, ports, hints)),
  };
}
