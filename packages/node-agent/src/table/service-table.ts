/**
 * The service table of one node. It gathers facts (local Services, slices, namespaces and node; other clusters'
 * Services), and keeps what follows from them for the kernel; what follows for people is worked out when somebody asks.
 * One writer, this class; everybody else reads.
 *
 * T1. Facts are absolute, and merging is a pure function of them: order and history do not matter.
 * T2. Nothing is published before the local sources are complete: a half-read cluster is not an empty one.
 * T3. A cluster that has not spoken since this process started keeps what is known of it from before (`adopted.ts`).
 * T4. Work is done Service by Service, what is local first, so that no remote can hold up what happens here.
 */
import { isDeepStrictEqual } from 'node:util';
import { LocalFacts } from '@tombolo/shared/local/local-facts.ts';
import type { MergeContext, ServiceScope } from '@tombolo/shared/merge/context.ts';
import { explainService } from '@tombolo/shared/merge/explain-service.ts';
import { isProgrammed, mergeRoutes } from '@tombolo/shared/merge/merge-service.ts';
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import { type Cidr, hostCidr, parseCidr, prefixMatcher } from '@tombolo/shared/model/ip.ts';
import { type FrontendRoute, isSameRoute, type RouteChanges, type Routes } from '@tombolo/shared/model/routes.ts';
import {
  type ClusterView,
  type LocalNode,
  type RemoteService,
  type ServiceKey,
  splitServiceKey,
} from '@tombolo/shared/model/service.ts';
import {
  frontendId,
  type ServiceExplanation,
  type ServiceFacts,
  type TableCounts,
  type TableSnapshot,
} from '@tombolo/shared/model/service-table.ts';
import type { AdoptedCluster } from './adopted.ts';
import { ChangeLog, type Changes } from './change-log.ts';
import { FrontendLedger } from './frontend-ledger.ts';
import { RemoteContributions } from './remote-contributions.ts';
import { RemoteQuota } from './remote-quota.ts';

export interface TableOptions {
  readonly local: ClusterIdentity;
  readonly node: string;
  readonly scope: ServiceScope;
  /** Whether namespaces that do not say so take part in the mesh. */
  readonly defaultGlobalNamespace: boolean;
  /** Backends of one other cluster that may be in use behind one frontend, and over all. */
  readonly remotePerFrontend: number;
  readonly remotePerCluster: number;
}

export class ServiceTable {
  readonly local: LocalFacts;
  #context: MergeContext;
  readonly #remotes: RemoteContributions;
  readonly #ledger = new FrontendLedger();
  readonly #quota: RemoteQuota;
  /** To be merged, in this order. */
  readonly #dirty = {
    local: new Set<ServiceKey>(),
    change: new Set<ServiceKey>(),
    'first-listing': new Set<ServiceKey>(),
  };
  readonly #services = new ChangeLog<ServiceKey, ServiceFacts>();
  readonly #routes = new ChangeLog<string, FrontendRoute>();
  /** The frontends that each Service serves. */
  readonly #served = new Map<ServiceKey, readonly string[]>();
  readonly #refused = new Map<ServiceKey, ReadonlyMap<string, string>>();
  /** Merged, and not published yet. */
  readonly #pending = {
    services: new Map<ServiceKey, ServiceFacts | undefined>(),
    routes: new Map<string, FrontendRoute | undefined>(),
    hasLocal: false,
  };
  readonly #listeners = new Set<() => void>();
  readonly #counts = { services: 0, localServices: 0, globalServices: 0, localBackends: 0 };
  #node: Pick<LocalNode, 'name' | 'zone' | 'addresses' | 'podCidrs'> | undefined;
  #podCidrs: readonly Cidr[] = [];
  #revision = 0;
  #open = false;

  constructor({ local, node, scope, defaultGlobalNamespace, remotePerFrontend, remotePerCluster }: TableOptions) {
    this.#context = { local, node, zone: '', scope, ownRanges: () => undefined, remotePerFrontend };
    this.local = new LocalFacts(defaultGlobalNamespace);
    this.local.onService((key) => this.#dirty.local.add(key));
    this.#remotes = new RemoteContributions((key, occasion) => this.#dirty[occasion].add(key));
    this.#quota = new RemoteQuota(remotePerCluster);
  }

  /** A Node's status is written all the time; only what merging looks at counts as a change. */
  setNode({ name, zone, addresses, podCidrs }: LocalNode): void {
    const node = { name, zone, addresses, podCidrs };
    if (isDeepStrictEqual(node, this.#node)) return;
    this.#node = node;
    this.#podCidrs = podCidrs.flatMap((text) => {
      const parsed = parseCidr(text);
      return parsed.ok ? [parsed.value] : [];
    });
    this.#context = {
      ...this.#context,
      node: name,
      zone,
      ownRanges: prefixMatcher([...this.#podCidrs, ...addresses.map(hostCidr)]),
    };
    this.#touchLocal();
  }

  /** Prefixes from which this cluster's API server takes cluster IPs. */
  setServiceRanges(ranges: readonly Cidr[]): void {
    this.#ledger.setServiceRanges(ranges);
    this.#touchLocal();
  }

  setRemoteServices(cluster: ClusterIdentity, changes: ReadonlyMap<ServiceKey, RemoteService | undefined>): void {
    this.#remotes.setServices(cluster, changes);
  }

  /** `refused`: Services of which the cluster said something that cannot be used. */
  setRemoteView(cluster: ClusterIdentity, view: ClusterView, refused: ReadonlySet<ServiceKey> = new Set()): void {
    this.#remotes.setView(cluster, view, refused);
  }

  removeRemote(cluster: ClusterIdentity): void {
    this.#remotes.remove(cluster);
  }

  /** What a restarted agent knows of clusters that have not spoken yet (T3). */
  adopt(clusters: readonly AdoptedCluster[]): void {
    this.#remotes.adopt(clusters);
  }

  /** All clusters that there are, with their ids where known; what was adopted from others is withdrawn. */
  settleAdopted(clusters: ReadonlyMap<ClusterName, number | undefined>): void {
    this.#remotes.settle(clusters);
  }

  /** Prefixes of this node's own pods; none until the Node is known, and where it does not say. */
  get podCidrs(): readonly Cidr[] {
    return this.#podCidrs;
  }

  /** Whether the Node is known and does not say which addresses its pods have. */
  get lacksPodCidrs(): boolean {
    return this.#node !== undefined && this.#podCidrs.length === 0;
  }

  /** From now on steps are taken: the local sources are complete. */
  open(): void {
    this.#open = true;
  }

  /**
   * Merges one Service; false when none is left. What comes of it is seen after `publish`. Services that are being listed
   * for the first time may have to wait.
   */
  step({ firstListingsWait = false } = {}): boolean {
    if (!this.#open) return false;
    const [key] = this.#nextDirty(firstListingsWait);
    if (key === undefined) return false;
    this.#pending.hasLocal ||= this.#dirty.local.has(key);
    this.#merge(key);
    return true;
  }

  #nextDirty(firstListingsWait: boolean): ReadonlySet<ServiceKey> {
    const { local, change, 'first-listing': listing } = this.#dirty;
    if (local.size > 0) return local;
    if (change.size === 0 && listing.size === 0) for (const key of this.#quota.settle()) change.add(key);
    return change.size > 0 || firstListingsWait ? change : listing;
  }

  /** Something that follows from local facts is merged, and not published yet. */
  get hasLocalChanges(): boolean {
    return this.#pending.hasLocal;
  }

  /** Publishes what was merged. Returns whether anything changed for readers. */
  publish(): boolean {
    const { services, routes } = this.#pending;
    if (services.size === 0) return false;
    this.#revision++;
    this.#services.publish(this.#revision, services);
    this.#routes.publish(this.#revision, routes);
    services.clear();
    routes.clear();
    this.#pending.hasLocal = false;
    for (const listener of [...this.#listeners]) listener();
    return true;
  }

  /** Takes all steps, and publishes. */
  settle(): boolean {
    while (this.step());
    return this.publish();
  }

  /** With those that gain or lose a frontend by it: then one moves from one Service to the other in a single change. */
  #merge(key: ServiceKey): void {
    // The others may have to be merged for what they ask for themselves.
    for (const keys of Object.values(this.#dirty)) keys.delete(key);
    const service = this.local.services.get(key);
    const moved = [key, ...this.#ledger.set(key, service)].map((each) => {
      const facts = this.#factsOf(each);
      const { routes, wanted } = facts
        ? mergeRoutes(this.#context, facts, this.#routes.values)
        : { routes: [], wanted: new Map() };
      this.#quota.set(each, wanted);
      this.#note(each, facts);
      return { key: each, ids: routes.map(({ frontend }) => frontendId(frontend)), routes };
    });
    for (const { key: each, ids } of moved) {
      const kept = new Set(ids);
      for (const id of this.#served.get(each) ?? []) if (!kept.has(id)) this.#pending.routes.set(id, undefined);
      if (ids.length > 0) this.#served.set(each, ids);
      else this.#served.delete(each);
    }
    for (const { ids, routes } of moved) {
      for (const [i, route] of routes.entries()) this.#setRoute(ids[i] ?? '', route);
    }
  }

  #setRoute(id: string, route: FrontendRoute): void {
    const { routes } = this.#pending;
    if (routes.has(id) || !isSameRoute(this.#routes.values.get(id), route)) routes.set(id, route);
  }

  #factsOf(key: ServiceKey): ServiceFacts | undefined {
    const service = this.local.services.get(key);
    const remotes = this.#remotes.of(key).map((remote) => {
      const allowance = this.#quota.allowance(remote.cluster.name, key);
      return allowance === undefined ? remote : { ...remote, allowance };
    });
    if (!service && remotes.length === 0) return undefined;
    const takesPart = this.local.takesPart(splitServiceKey(key).namespace);
    const refusedFrontends = service ? this.#ledger.refusals(service) : NO_REFUSALS;
    return { key, service, takesPart, endpoints: this.local.endpointsOf(key), remotes, refusedFrontends };
  }

  #note(key: ServiceKey, facts: ServiceFacts | undefined): void {
    const before = this.#pending.services.has(key) ? this.#pending.services.get(key) : this.#services.values.get(key);
    if (!before && !facts) return;
    this.#count(before, -1);
    this.#count(facts, 1);
    this.#pending.services.set(key, facts);
    const refused = facts && isProgrammed(this.#context, facts) ? facts.refusedFrontends : NO_REFUSALS;
    if (refused.size > 0) this.#refused.set(key, refused);
    else this.#refused.delete(key);
  }

  #count(facts: ServiceFacts | undefined, sign: 1 | -1): void {
    if (!facts) return;
    this.#counts.services += sign;
    if (!facts.service) return;
    this.#counts.localServices += sign;
    this.#counts.globalServices += facts.service.global ? sign : 0;
    this.#counts.localBackends += sign * facts.endpoints.length;
  }

  #touchLocal(): void {
    for (const key of this.local.services.keys()) this.#dirty.local.add(key);
  }

  get revision(): number {
    return this.#revision;
  }

  get counts(): TableCounts {
    return this.#counts;
  }

  /** Frontends of Services that this node programs which are not served, with the reason, by Service and frontend. */
  get refusedFrontends(): ReadonlyMap<ServiceKey, ReadonlyMap<string, string>> {
    return this.#refused;
  }

  /** Clusters with more backends than may be in use here. */
  get clustersOverQuota(): readonly ClusterName[] {
    return this.#quota.exceeded;
  }

  get(key: ServiceKey): ServiceFacts | undefined {
    return this.#services.values.get(key);
  }

  get services(): ReadonlyMap<ServiceKey, ServiceFacts> {
    return this.#services.values;
  }

  explain(facts: ServiceFacts): ServiceExplanation {
    return explainService(this.#context, facts);
  }

  snapshot(): TableSnapshot {
    return { revision: this.#revision, services: this.#services.snapshot() };
  }

  changesSince(revision: number): Changes<ServiceKey, ServiceFacts> | 'compacted' {
    return this.#services.changesSince(revision);
  }

  /** What the kernel shall have; it changes under the reader. */
  get routes(): Routes {
    return this.#routes.values;
  }

  routeChangesSince(revision: number): { readonly revision: number; readonly changed: RouteChanges } | 'compacted' {
    return this.#routes.changesSince(revision);
  }

  /** Called after each publication that changed something; returns the way to stop it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

const NO_REFUSALS: ReadonlyMap<string, string> = new Map();
