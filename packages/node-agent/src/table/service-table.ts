/**
 * The service table of one node. It gathers facts (local Services, slices, node; other clusters' Services), marks what
 * they touch as dirty, and merges anew only that. One writer, this class; everybody else reads snapshots.
 *
 * T1. Facts are absolute, and merging is a pure function of them: order and history do not matter.
 * T2. Nothing is published before the local sources are complete: a half-read cluster is not an empty one.
 * T3. A cluster that has not spoken since this process started keeps what the kernel had of it (see `adopted.ts`).
 */
import { isDeepStrictEqual } from 'node:util';
import { endpointsOf } from '@tombolo/shared/merge/endpoints.ts';
import { type MergeContext, mergeService, type ServiceScope } from '@tombolo/shared/merge/merge-service.ts';
import type { ClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import { type Cidr, parseCidr, prefixMatcher } from '@tombolo/shared/model/ip.ts';
import type {
  ClusterView,
  LocalEndpointSlice,
  LocalNode,
  LocalService,
  RemoteContribution,
  RemoteService,
  ServiceKey,
} from '@tombolo/shared/model/service.ts';
import type { ServiceEntry, TableChanges, TableSnapshot } from '@tombolo/shared/model/service-table.ts';
import type { AdoptedCluster } from './adopted.ts';
import { ChangeLog } from './change-log.ts';

interface RemoteCluster {
  readonly identity: ClusterIdentity;
  view: ClusterView;
  readonly services: Map<ServiceKey, RemoteService>;
}

/** What remains of an adopted cluster: less with every word that it says itself. */
interface Adopted extends AdoptedCluster {
  readonly services: Map<ServiceKey, RemoteService>;
}

export class ServiceTable {
  #context: MergeContext;
  readonly #services = new Map<ServiceKey, LocalService>();
  readonly #slices = new Map<ServiceKey, Map<string, LocalEndpointSlice>>();
  readonly #sliceOwners = new Map<string, ServiceKey>();
  readonly #remotes = new Map<number, RemoteCluster>();
  readonly #adopted = new Map<number, Adopted>();
  readonly #dirty = new Set<ServiceKey>();
  readonly #log = new ChangeLog();
  #node: Pick<LocalNode, 'name' | 'addresses' | 'podCidrs'> | undefined;
  #podCidrs: readonly Cidr[] = [];
  #open = false;

  constructor(local: ClusterIdentity, nodeName: string, scope: ServiceScope = 'global') {
    this.#context = { local, node: nodeName, scope, ownRanges: () => undefined };
  }

  setService(key: ServiceKey, service: LocalService | undefined): void {
    if (service) this.#services.set(key, service);
    else this.#services.delete(key);
    this.#dirty.add(key);
  }

  /** `key` is the slice's own; a slice may change the Service it belongs to. */
  setSlice(key: string, slice: LocalEndpointSlice | undefined): void {
    const before = this.#sliceOwners.get(key);
    if (before !== undefined && before !== slice?.service) this.#removeSlice(before, key);
    if (!slice) {
      this.#sliceOwners.delete(key);
      return;
    }
    this.#sliceOwners.set(key, slice.service);
    const slices = this.#slices.get(slice.service) ?? new Map<string, LocalEndpointSlice>();
    this.#slices.set(slice.service, slices.set(key, slice));
    this.#dirty.add(slice.service);
  }

  #removeSlice(service: ServiceKey, key: string): void {
    const slices = this.#slices.get(service);
    slices?.delete(key);
    if (slices?.size === 0) this.#slices.delete(service);
    this.#dirty.add(service);
  }

  /** A Node's status is written all the time; only what merging looks at counts as a change. */
  setNode({ name, addresses, podCidrs }: LocalNode): void {
    const node = { name, addresses, podCidrs };
    if (isDeepStrictEqual(node, this.#node)) return;
    this.#node = node;
    this.#podCidrs = node.podCidrs.flatMap((text) => {
      const parsed = parseCidr(text);
      return parsed.ok ? [parsed.value] : [];
    });
    const hosts = node.addresses.map((address) => ({ address, length: address.includes(':') ? 128 : 32 }));
    this.#context = { ...this.#context, node: node.name, ownRanges: prefixMatcher([...this.#podCidrs, ...hosts]) };
    this.#markAll();
  }

  setRemoteServices(cluster: ClusterIdentity, changes: ReadonlyMap<ServiceKey, RemoteService | undefined>): void {
    const remote = this.#remote(cluster);
    for (const [key, service] of changes) {
      if (service) remote.services.set(key, service);
      else remote.services.delete(key);
      this.#adopted.get(cluster.id)?.services.delete(key);
      this.#dirty.add(key);
    }
  }

  /** `refused`: Services of which the cluster said something that cannot be used. */
  setRemoteView(cluster: ClusterIdentity, view: ClusterView, refused: ReadonlySet<ServiceKey> = new Set()): void {
    const remote = this.#remote(cluster);
    if (remote.view.kind !== view.kind) this.#mark(remote.services.keys());
    remote.view = view;
    if (view.kind !== 'unknown') this.#forgetAdopted(cluster.id, refused);
  }

  removeRemote(cluster: ClusterIdentity): void {
    this.#mark(this.#remotes.get(cluster.id)?.services.keys() ?? []);
    this.#remotes.delete(cluster.id);
    this.#forgetAdopted(cluster.id);
  }

  /** What a restarted agent found in the kernel of clusters that have not spoken yet (T3). */
  adopt(clusters: readonly AdoptedCluster[]): void {
    for (const cluster of clusters) {
      const { kind } = this.#remotes.get(cluster.identity.id)?.view ?? { kind: 'unknown' };
      if (kind !== 'unknown') continue;
      this.#adopted.set(cluster.identity.id, { ...cluster, services: new Map(cluster.services) });
      this.#mark(cluster.services.keys());
    }
  }

  /** The ids of all clusters that there are; what was adopted from others is withdrawn. */
  settleAdopted(ids: ReadonlySet<number>): void {
    for (const id of [...this.#adopted.keys()]) if (!ids.has(id)) this.#forgetAdopted(id);
  }

  #forgetAdopted(id: number, except: ReadonlySet<ServiceKey> = new Set()): void {
    const services = this.#adopted.get(id)?.services ?? new Map<ServiceKey, RemoteService>();
    this.#mark(services.keys());
    for (const key of services.keys()) if (!except.has(key)) services.delete(key);
    if (services.size === 0) this.#adopted.delete(id);
  }

  #remote(identity: ClusterIdentity): RemoteCluster {
    const known = this.#remotes.get(identity.id);
    if (known?.identity.name === identity.name) return known;
    if (known) this.removeRemote(known.identity);
    const remote: RemoteCluster = { identity, view: { kind: 'unknown' }, services: new Map() };
    this.#remotes.set(identity.id, remote);
    return remote;
  }

  /** Prefixes of this node's own pods; empty until the Node is known. */
  get podCidrs(): readonly Cidr[] {
    return this.#podCidrs;
  }

  get localServices(): ReadonlyMap<ServiceKey, LocalService> {
    return this.#services;
  }

  /** From now on `publish` publishes: the local sources are complete. */
  open(): void {
    this.#open = true;
  }

  /** Merges what is dirty. Returns whether anything changed for readers. */
  publish(): boolean {
    if (!this.#open || this.#dirty.size === 0) return false;
    const changed = new Map<ServiceKey, ServiceEntry | undefined>();
    for (const key of this.#dirty) changed.set(key, this.#merge(key));
    this.#dirty.clear();
    return this.#log.publish(changed);
  }

  #merge(key: ServiceKey): ServiceEntry | undefined {
    const service = this.#services.get(key);
    const remotes = this.#contributions(key);
    if (!service && remotes.length === 0) return undefined;
    const endpoints = endpointsOf(service, this.#slices.get(key)?.values() ?? []);
    return mergeService(this.#context, { key, service, endpoints, remotes });
  }

  /** What a cluster said of this Service itself, or else what was adopted of it. */
  #contributions(key: ServiceKey): readonly RemoteContribution[] {
    const ids = new Set([...this.#remotes.keys(), ...this.#adopted.keys()]);
    return [...ids].flatMap((id): RemoteContribution[] => {
      const remote = this.#remotes.get(id);
      const adopted = this.#adopted.get(id);
      const said = remote?.services.get(key);
      const cluster = remote?.identity ?? adopted?.identity;
      if (said && remote) return [{ cluster: remote.identity, view: remote.view, service: said }];
      const found = adopted?.services.get(key);
      return found && cluster ? [{ cluster, view: { kind: 'unknown' }, service: found }] : [];
    });
  }

  #mark(keys: Iterable<ServiceKey>): void {
    for (const key of keys) this.#dirty.add(key);
  }

  #markAll(): void {
    this.#mark(this.#services.keys());
    for (const { services } of this.#remotes.values()) this.#mark(services.keys());
    for (const { services } of this.#adopted.values()) this.#mark(services.keys());
  }

  /** That of the snapshot, without making one. */
  get revision(): number {
    return this.#log.revision;
  }

  snapshot(): TableSnapshot {
    return this.#log.snapshot();
  }

  changesSince(revision: number): TableChanges | 'compacted' {
    return this.#log.changesSince(revision);
  }

  /** Called after each publication that changed something; returns the way to stop it. */
  onChange(listener: () => void): () => void {
    return this.#log.onChange(listener);
  }
}
