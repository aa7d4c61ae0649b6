/**
 * What an agent leaves for the next one beside what the kernel keeps: which cluster has which id, for which Service and
 * port a frontend was programmed, and what other clusters said of it, whether it is in use or not. Lines of JSON: the
 * first is about the agent, each other about one Service. Pure; `state-file.ts` reads and writes.
 *
 * It is believed only as far as the kernel does not say otherwise, and can be lost without harm: then the next agent
 * knows what the kernel has, and nothing more.
 */
import { frontendsOf, groupShapes } from '@tombolo/shared/merge/frontends.ts';
import { type ClusterIdentity, type ClusterName, parseClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import { parseIp } from '@tombolo/shared/model/ip.ts';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import type { Routes } from '@tombolo/shared/model/routes.ts';
import type { BackendPort, RemoteBackend, RemoteService, ServiceKey } from '@tombolo/shared/model/service.ts';
import { frontendId, type ServiceFacts } from '@tombolo/shared/model/service-table.ts';

export interface SavedState {
  /** The id that this cluster had: its own backends in the kernel have it. */
  readonly ownId: number;
  readonly clusters: ReadonlyMap<ClusterName, number>;
  readonly services: ReadonlyMap<ServiceKey, SavedService>;
}

export interface SavedService {
  readonly uid: string;
  /** Port names by `frontendId`. */
  readonly frontends: ReadonlyMap<string, string>;
  readonly remotes: readonly SavedRemote[];
}

export interface SavedRemote {
  readonly cluster: ClusterIdentity;
  readonly service: RemoteService;
  /** Addresses of its backends that the kernel had been given for this Service. */
  readonly used: ReadonlySet<string>;
}

const VERSION = 1;

/** Whose state it is: another node's means nothing. A cluster may get another name or id; its Services have UIDs. */
export interface Author {
  readonly cluster: ClusterIdentity;
  readonly node: string;
}

export const headLine = ({ cluster, node }: Author, clusters: ReadonlyMap<ClusterName, number>): string =>
  JSON.stringify({ version: VERSION, cluster: cluster.name, id: cluster.id, node, clusters: [...clusters] });

/** Undefined for a Service that no other cluster has. Whether it is global may change. */
export function serviceLine(facts: ServiceFacts, routes: Routes): string | undefined {
  const { key, service, remotes } = facts;
  if (!service || remotes.length === 0) return undefined;
  const frontends = groupShapes(service, new Set()).flatMap(({ port, frontends: ofPort }) =>
    ofPort.map((frontend) => [frontendId(frontend), port.name]),
  );
  const inUse = new Set(
    frontendsOf(service).flatMap((each) => routes.get(frontendId(each))?.backends.map(({ address }) => address) ?? []),
  );
  const lists = new Map<readonly BackendPort[], number>();
  const listOf = (ports: readonly BackendPort[]): number => {
    if (!lists.has(ports)) lists.set(ports, lists.size);
    return lists.get(ports) ?? 0;
  };
  const said = remotes.map(({ cluster, service: { shared, terminating, frontendPorts, backends } }) => {
    const rows = backends.map(({ address, ports, zone }) => [address, listOf(ports), zone, inUse.has(address) ? 1 : 0]);
    return { cluster: cluster.name, id: cluster.id, shared, terminating, frontendPorts, backends: rows };
  });
  return JSON.stringify({ key, uid: service.uid, frontends, remotes: said, ports: [...lists.keys()] });
}

/** A line that cannot be read says nothing about the others. */
export function parseState(text: string, author: Author): Result<SavedState> {
  const [first = '', ...lines] = text.split('\n');
  const head = asFields(parseJson(first));
  if (head['version'] !== VERSION) return fail(`expected version ${VERSION}: current value is ${head['version']}`);
  if (head['node'] !== author.node) return fail(`expected the state of node ${author.node}: it is another's`);
  const clusters = asList(head['clusters']).flatMap((each) => {
    const [name, id] = asList(each);
    const identity = parseClusterIdentity(String(name), id, 511);
    return identity.ok ? [[identity.value.name, identity.value.id] as const] : [];
  });
  const services = lines.flatMap((line) => {
    const service = parseService(asFields(parseJson(line)));
    return service ? [service] : [];
  });
  return ok({ ownId: Number(head['id']), clusters: new Map(clusters), services: new Map(services) });
}

function parseService(fields: Fields): readonly [ServiceKey, SavedService] | undefined {
  const { key, uid, frontends, remotes, ports } = fields;
  if (typeof key !== 'string' || typeof uid !== 'string') return undefined;
  const lists = asList(ports).map((list) => asList(list).filter(isPort));
  const service: SavedService = {
    uid,
    frontends: new Map(
      asList(frontends)
        .map((each) => asList(each).map(String))
        .map(([id = '', name = '']) => [id, name]),
    ),
    remotes: asList(remotes).flatMap((each) => parseRemote(asFields(each), key as ServiceKey, lists)),
  };
  return [key as ServiceKey, service];
}

function parseRemote(fields: Fields, key: ServiceKey, lists: readonly (readonly BackendPort[])[]): SavedRemote[] {
  const cluster = parseClusterIdentity(String(fields['cluster']), fields['id'], 511);
  if (!cluster.ok) return [];
  const used = new Set<string>();
  const backends = asList(fields['backends']).flatMap((row): RemoteBackend[] => {
    const [text, list, zone, isUsed] = asList(row);
    const address = parseIp(String(text));
    const ports = lists[Number(list)];
    if (!address.ok || !ports) return [];
    if (isUsed === 1) used.add(address.value);
    return [{ address: address.value, ports, zone: String(zone) }];
  });
  const service: RemoteService = {
    key,
    shared: fields['shared'] === true,
    terminating: fields['terminating'] === true,
    frontendPorts: asList(fields['frontendPorts']).filter(isPort),
    backends,
    origin: { source: 'kernel', revision: '', at: 0 },
  };
  return [{ cluster: cluster.value, service, used }];
}

type Fields = Readonly<Record<string, unknown>>;

const asFields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function isPort(value: unknown): value is BackendPort {
  const { name, protocol, port } = asFields(value);
  const isNumber = typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536;
  return typeof name === 'string' && /^(TCP|UDP|SCTP)$/.test(String(protocol)) && isNumber;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
