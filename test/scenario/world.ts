/**
 * One node of cluster `east` (id 1) without a network: the real table, reconciler rules and wire format over a kernel in
 * memory. Each command changes a fact or prints something; `restart` is a new agent over the same kernel.
 */
import { MemoryDatapath, MemoryKernel } from '@tombolo/node-agent/datapath/memory.fixture.ts';
import { adoptedClusters } from '@tombolo/node-agent/table/adopted.ts';
import { ServiceTable } from '@tombolo/node-agent/table/service-table.ts';
import { type ClusterIdentity, parseClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import type {
  Affinity,
  BackendPort,
  LocalEndpoint,
  LocalEndpointSlice,
  LocalService,
  Protocol,
  RemoteService,
  ServiceKey,
} from '@tombolo/shared/model/service.ts';
import { printKernel, printTable } from './print.ts';

const EAST = identity('east', 1);
const ORIGIN = { source: 'kubernetes', revision: '', at: 0 } as const;

export class World {
  #kernel = new MemoryKernel();
  #datapath = new MemoryDatapath(this.#kernel);
  #table = newTable();
  #revision = 0;
  /** What the local Kubernetes API holds: a restarted agent hears it again. */
  readonly #services = new Map<ServiceKey, LocalService>();
  readonly #slices = new Map<string, LocalEndpointSlice>();
  readonly #clusters = new Map<string, ClusterIdentity>();

  constructor() {
    this.#table.open();
  }

  async run(command: string): Promise<readonly string[]> {
    const [verb = '', ...words] = command.split(/\s+/);
    const args = parseArguments(words);
    const printed = await this.#execute(verb, args);
    await this.#settle();
    return printed;
  }

  async #execute(verb: string, args: Arguments): Promise<readonly string[]> {
    switch (verb) {
      case 'service':
        return this.#setService(args);
      case 'slice':
        return this.#setSlice(args);
      case 'delete':
        return this.#delete(args);
      case 'cluster':
        this.#clusters.set(args.first, identity(args.first, Number(args.options.get('id'))));
        return [];
      case 'hear':
      case 'withdraw':
        return this.#hear(args, verb === 'hear');
      case 'synced':
        this.#table.setRemoteView(this.#cluster(args.first), { kind: 'synced' });
        return [];
      case 'silent':
        this.#table.setRemoteView(this.#cluster(args.first), { kind: 'stale', since: 0 });
        return [];
      case 'remove':
        this.#table.removeRemote(this.#cluster(args.first));
        return [];
      case 'restart':
        return this.#restart();
      case 'table':
        this.#table.settle();
        return printTable(this.#table);
      case 'kernel':
        await this.#settle();
        return printKernel(this.#kernel);
      default:
        throw new Error(`No such command: ${verb}`);
    }
  }

  async #settle(): Promise<void> {
    this.#table.settle();
    const changes = this.#table.routeChangesSince(this.#revision);
    if (changes === 'compacted' || changes.revision === this.#revision) return;
    this.#revision = changes.revision;
    await this.#datapath.apply(changes.changed);
  }

  async #restart(): Promise<readonly string[]> {
    this.#datapath = new MemoryDatapath(this.#kernel);
    this.#table = newTable();
    for (const [key, service] of this.#services) this.#table.local.setService(key, service);
    for (const [key, slice] of this.#slices) this.#table.local.setSlice(key, slice);
    this.#table.adopt(adoptedClusters(await this.#datapath.read(), this.#services, EAST.id, undefined));
    this.#table.open();
    this.#table.settle();
    this.#revision = this.#table.revision;
    await this.#datapath.replace(this.#table.routes);
    return [];
  }

  #setService({ first, flags, options }: Arguments): readonly string[] {
    const key = first as ServiceKey;
    const service: LocalService = {
      key,
      uid: `uid of ${key}`,
      createdAt: '',
      global: flags.has('global'),
      shared: options.get('shared') !== 'false',
      affinity: (options.get('affinity') ?? 'none') as Affinity,
      clusterIps: list(options.get('ip')).map(ip),
      externalIps: list(options.get('external')).map(ip),
      loadBalancerIps: [],
      sourceRanges: [],
      ports: parsePorts(options.get('ports')).map((port) => ({ ...port, nodePort: 0 })),
      sessionAffinitySeconds: 0,
      internalTrafficPolicy: options.get('policy') === 'Local' ? 'Local' : 'Cluster',
      externalTrafficPolicy: 'Cluster',
      healthCheckNodePort: 0,
      labels: {},
      selector: {},
      origin: ORIGIN,
    };
    this.#services.set(key, service);
    this.#table.local.setService(key, service);
    return [];
  }

  #setSlice({ first, rest, options }: Arguments): readonly string[] {
    const ports = parsePorts(options.get('ports'));
    const service = (options.get('of') ?? '') as ServiceKey;
    const endpoints = rest.map((word) => parseEndpoint(word, ports));
    const slice = { key: first, service, headless: options.get('headless') === 'true', endpoints };
    this.#slices.set(first, slice);
    this.#table.local.setSlice(first, slice);
    return [];
  }

  #delete({ first, rest }: Arguments): readonly string[] {
    const [key = ''] = rest;
    if (first === 'service') {
      this.#services.delete(key as ServiceKey);
      this.#table.local.setService(key as ServiceKey, undefined);
    } else {
      this.#slices.delete(key);
      this.#table.local.setSlice(key, undefined);
    }
    return [];
  }

  #hear({ first, rest: [name = '', ...addresses], options }: Arguments, heard: boolean): readonly string[] {
    const key = name as ServiceKey;
    const ports = parsePorts(options.get('ports'));
    const said: RemoteService = {
      key,
      shared: options.get('shared') !== 'false',
      terminating: false,
      frontendPorts: [],
      backends: addresses.map((address) => ({ address: ip(address), ports, zone: '' })),
      origin: { source: 'etcd', revision: '', at: 0 },
    };
    this.#table.setRemoteServices(this.#cluster(first), new Map([[key, heard ? said : undefined]]));
    return [];
  }

  #cluster(name: string): ClusterIdentity {
    const known = this.#clusters.get(name);
    if (!known) throw new Error(`No cluster ${name} yet`);
    return known;
  }
}

interface Arguments {
  readonly first: string;
  readonly rest: readonly string[];
  readonly flags: ReadonlySet<string>;
  /** `key=value`. */
  readonly options: ReadonlyMap<string, string>;
}

function parseArguments(words: readonly string[]): Arguments {
  const options = new Map(words.flatMap((word) => (/^\w+=/.test(word) ? [splitOnce(word, '=')] : [])));
  const [first = '', ...rest] = words.filter((word) => !/^\w+=/.test(word));
  return { first, rest, flags: new Set(rest), options };
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}

const list = (text: string | undefined): readonly string[] => (text ? text.split(',') : []);

/** `http:80`, `dns:53/UDP`, `:80` for an unnamed port. */
function parsePorts(text: string | undefined): readonly BackendPort[] {
  return list(text).map((each) => {
    const [name, rest] = splitOnce(each, ':');
    const [port, protocol] = splitOnce(rest, '/');
    return { name, port: Number(port), protocol: (protocol || 'TCP') as Protocol };
  });
}

/** `10.1.0.1`, `10.1.0.1/unready`, `10.1.0.1/terminating@east-2`. */
function parseEndpoint(word: string, ports: readonly BackendPort[]): LocalEndpoint {
  const [place, node] = splitOnce(word, '@');
  const [address, state] = splitOnce(place, '/');
  return {
    address: ip(address),
    ports,
    ready: state === '',
    serving: state !== 'unready',
    terminating: state === 'terminating',
    node: node || 'east-1',
    zone: '',
    zoneHints: [],
    nodeHints: [],
    hostname: '',
    origin: ORIGIN,
  };
}

function identity(name: string, id: number): ClusterIdentity {
  const parsed = parseClusterIdentity(name, id);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function newTable(): ServiceTable {
  const limits = { remotePerFrontend: 100, remotePerCluster: 1000 };
  const table = new ServiceTable({
    local: EAST,
    node: 'east-1',
    scope: 'global',
    defaultGlobalNamespace: true,
    ...limits,
  });
  for (const name of ['shop', 'default']) table.local.setNamespace(name, { name, global: undefined, labels: {} });
  return table;
}
