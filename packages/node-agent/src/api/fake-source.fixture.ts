/** For tests: an `ApiSource` whose table and clusters the test sets, and entries to set it with. */
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import { type LocalService, type ServiceKey, type ServicePort, serviceKey } from '@tombolo/shared/model/service.ts';
import type {
  Backend,
  ClusterStatus,
  Decision,
  FrontendGroup,
  ServiceExplanation,
  ServiceFacts,
  TableChanges,
  TableCounts,
  TableSnapshot,
} from '@tombolo/shared/model/service-table.ts';
import type { AgentStatus, ApiSource } from './source.ts';

/** 2026-01-02T03:04:05Z, the time of all samples. */
export const SAMPLE_TIME = Date.UTC(2026, 0, 2, 3, 4, 5);
export const EAST: ClusterIdentity = { name: 'east' as ClusterName, id: 1 };
export const WEST: ClusterIdentity = { name: 'west' as ClusterName, id: 2 };
export const HTTP: ServicePort = { name: 'http', protocol: 'TCP', port: 80, nodePort: 0 };

export class FakeSource implements ApiSource {
  readonly #services = new Map<ServiceKey, ServiceFacts>();
  readonly #explanations = new WeakMap<ServiceFacts, ServiceExplanation>();
  readonly #changedAt = new Map<ServiceKey, number>();
  readonly #clusters = new Map<ClusterName, ClusterStatus>();
  readonly tableListeners = new Set<() => void>();
  readonly clusterListeners = new Set<() => void>();
  #revision = 0;
  #compacted = 0;
  #snapshot: TableSnapshot | undefined;
  agent: AgentStatus = {
    cluster: EAST,
    node: 'n1',
    version: '0.1.0',
    datapath: { name: 'ebpf', reason: 'cgroup BPF works here' },
    startedAt: SAMPLE_TIME,
    parts: new Map([['kubernetes', { kind: 'ok' }]]),
  };

  announcing: ApiSource['announcing'] = { addresses: [], announcers: { speakers: [], peers: [], problems: [] } };

  set(...entries: readonly ServiceExplanation[]): void {
    for (const entry of entries) {
      const { key, service } = entry;
      const facts = { key, service, takesPart: true, endpoints: [], remotes: [], refusedFrontends: new Map() };
      this.#services.set(key, facts);
      this.#explanations.set(facts, entry);
    }
    this.#changed(entries.map(({ key }) => key));
  }

  remove(...keys: readonly ServiceKey[]): void {
    for (const key of keys) this.#services.delete(key);
    this.#changed(keys);
  }

  /** Forgets what changed up to now. */
  compact(): void {
    this.#compacted = this.#revision;
  }

  setCluster(status: ClusterStatus): void {
    this.#clusters.set(status.name, status);
    for (const listener of this.clusterListeners) listener();
  }

  removeCluster(name: ClusterName): void {
    this.#clusters.delete(name);
    for (const listener of this.clusterListeners) listener();
  }

  #changed(keys: readonly ServiceKey[]): void {
    this.#revision++;
    this.#snapshot = undefined;
    for (const key of keys) this.#changedAt.set(key, this.#revision);
    for (const listener of this.tableListeners) listener();
  }

  snapshot(): TableSnapshot {
    this.#snapshot ??= { revision: this.#revision, services: new Map(this.#services) };
    return this.#snapshot;
  }

  get revision(): number {
    return this.#revision;
  }

  get counts(): TableCounts {
    const services = this.#services.size;
    return { services, localServices: services, globalServices: services, localBackends: services };
  }

  get(key: ServiceKey): ServiceFacts | undefined {
    return this.#services.get(key);
  }

  explain(facts: ServiceFacts): ServiceExplanation {
    const explanation = this.#explanations.get(facts);
    if (!explanation) throw new Error(`Cannot explain ${facts.key}: expected facts of this source`);
    return explanation;
  }

  changesSince(revision: number): TableChanges | 'compacted' {
    if (revision < this.#compacted) return 'compacted';
    const keys = [...this.#changedAt].filter(([, at]) => at > revision).map(([key]) => key);
    return { revision: this.#revision, changed: new Map(keys.map((key) => [key, this.#services.get(key)])) };
  }

  /** The table that this is a source of. */
  get table(): this {
    return this;
  }

  onChange(listener: () => void): () => void {
    this.tableListeners.add(listener);
    return () => this.tableListeners.delete(listener);
  }

  clusters(): ReadonlyMap<ClusterName, ClusterStatus> {
    return new Map(this.#clusters);
  }

  onClustersChange(listener: () => void): () => void {
    this.clusterListeners.add(listener);
    return () => this.clusterListeners.delete(listener);
  }

  status(): AgentStatus {
    return this.agent;
  }
}

export function sampleBackend(address: string, fields: Partial<Backend> = {}): Backend {
  const cluster = fields.cluster ?? EAST;
  return {
    address: ip(address),
    port: 8080,
    protocol: 'TCP',
    portNames: ['http'],
    cluster,
    node: cluster === EAST ? 'n1' : '',
    zone: '',
    state: 'active',
    stale: false,
    origin: { source: cluster === EAST ? 'kubernetes' : 'etcd', revision: '12', at: SAMPLE_TIME },
    ...fields,
  };
}

export const selected = (backend: Backend): Decision => ({ backend, verdict: 'selected', detail: 'ready' });

export const leftOut = (backend: Backend, verdict: Decision['verdict'], detail: string): Decision => ({
  backend,
  verdict,
  detail,
});

export function sampleGroup(decisions: readonly Decision[], port: ServicePort = HTTP): FrontendGroup {
  const frontend = { kind: 'ClusterIP', address: ip('10.96.0.10'), port: port.port, protocol: port.protocol } as const;
  return { port, family: 4, clients: 'all', frontends: [frontend], refused: [], decisions };
}

export function sampleEntry(name: string, groups: readonly FrontendGroup[], fields: Partial<LocalService> = {}) {
  const key = serviceKey('default', name);
  const service: LocalService = {
    key,
    uid: `uid of ${key}`,
    createdAt: '2026-01-02T03:04:05Z',
    global: true,
    shared: true,
    affinity: 'none',
    clusterIps: [ip('10.96.0.10')],
    externalIps: [],
    loadBalancerIps: [],
    sourceRanges: [],
    ports: groups.map(({ port }) => port),
    sessionAffinitySeconds: 0,
    internalTrafficPolicy: 'Cluster',
    staysClose: false,
    externalTrafficPolicy: 'Cluster',
    healthCheckNodePort: 0,
    labels: {},
    selector: {},
    origin: { source: 'kubernetes', revision: '7', at: SAMPLE_TIME },
    ...fields,
  };
  const entry: ServiceExplanation = {
    key: service.key,
    service,
    programmed: true,
    affinity: service.affinity,
    groups,
    unmatched: [],
  };
  return entry;
}

/** `default/web` with one backend in each cluster, and one of west's that is not ready. */
export const sampleWeb = (): ServiceExplanation =>
  sampleEntry('web', [
    sampleGroup([
      selected(sampleBackend('10.1.0.5', { zone: 'a' })),
      selected(sampleBackend('10.2.0.5', { cluster: WEST, stale: true })),
      leftOut(sampleBackend('10.2.0.6', { cluster: WEST, state: 'unready' }), 'unready', 'west says it is not ready'),
    ]),
  ]);

export const sampleCluster = (identity: ClusterIdentity, fields: Partial<ClusterStatus> = {}): ClusterStatus => ({
  name: identity.name,
  id: identity.id,
  local: identity === EAST,
  control: 'heard',
  since: SAMPLE_TIME,
  heardAt: SAMPLE_TIME,
  endpoints: [`https://${identity.name}.mesh:2379`],
  services: 1,
  backends: 2,
  nodes: 2,
  failures: 0,
  lastError: '',
  warnings: [],
  quarantined: [],
  ...fields,
});
