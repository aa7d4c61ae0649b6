/**
 * Gives LoadBalancer addresses to Services, out of the pools of Cilium's and MetalLB's kinds. It sleeps until there is a
 * pool. Of several replicas the one that Kubernetes elects does it, as long as it knows that it is; the others know
 * everything and write nothing.
 *
 * G1. Whoever begins lists the Services anew, and enters all that they have before he gives out anything.
 * G2. A status is written only over the Service that was read (its resourceVersion): whoever was faster wins, and what he
 *     wrote is heard first.
 * G3. What is not written yet is tried again; nothing waits for it.
 * G4. The status of a pool is written every few seconds at most, however many addresses come and go.
 */
import { ApiError, type KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import { type Collection, followCollection } from '@tombolo/shared/kubernetes/collection.ts';
import {
  CILIUM_POOLS,
  LOAD_BALANCER_SERVICES,
  metallbPools,
  NAMESPACES,
  NODES,
  SERVICE_CIDRS,
} from '@tombolo/shared/kubernetes/collections.ts';
import { KubernetesLease } from '@tombolo/shared/kubernetes/lease.ts';
import type { LoadBalancerService } from '@tombolo/shared/kubernetes/load-balancer-object.ts';
import { poolObjects, type ReadPool } from '@tombolo/shared/kubernetes/pool-object.ts';
import { type AddressPool, isSamePool } from '@tombolo/shared/model/address-pool.ts';
import { type Cidr, hostCidr, parseCidr } from '@tombolo/shared/model/ip.ts';
import type { Labels } from '@tombolo/shared/model/label-selector.ts';
import { type ReservedRange, reserve } from '@tombolo/shared/model/reserved-addresses.ts';
import { type ServiceKey, splitServiceKey } from '@tombolo/shared/model/service.ts';
import { type Clock, sleep } from '@tombolo/shared/process/clock.ts';
import type { HealthTree } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { Notifier } from '@tombolo/shared/process/notifier.ts';
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import { AddressAllocator, type Outcome } from './allocator.ts';
import { inSeconds } from './event-times.ts';
import { PoolStatuses } from './pool-statuses.ts';
import type { PoolUsage } from './pool-usage.ts';
import { eventOf, statusOf } from './service-status.ts';

export interface AddressesOptions {
  readonly client: KubernetesClient;
  /** Where the Lease is, and our name among those that want it. */
  readonly leaseNamespace: string;
  readonly instance: string;
  /** Where MetalLB's pools are. */
  readonly metallbNamespace: string;
  readonly health: HealthTree;
  readonly clock: Clock;
  readonly log: Logger;
}

const LEASE = 'tombolo-addresses';
const PERIOD_MS = 2_000;
/** Who knows that he was elected so long ago is still, by everybody's clock: a Lease holds for 15 s. */
const SURE_MS = 10_000;
const RELEASE_MS = 1_000;
const WRITE_MS = 5_000;
const AGAIN_MS = 1_000;
/** Statuses that are written at a time. */
const AT_ONCE = 8;
/** Between two looks at the statuses of pools: at least, and while nothing happens. */
const STATUS_MS = { least: 5_000, most: 60_000 };
const HEALTH = 'load balancer addresses';

export class Addresses {
  readonly #options: AddressesOptions;
  readonly #log: Logger;
  readonly #poolKinds: readonly Collection<ReadPool>[];
  /** By their paths. */
  readonly #pools = new Map<string, ReadPool>();
  readonly #services = new Map<ServiceKey, LoadBalancerService>();
  readonly #namespaces = new Map<string, Labels>();
  /** What the cluster itself uses, by the path of the collection and the key of the object that says it. */
  readonly #reserved = new Map<string, readonly ReservedRange[]>();
  #isReservedChanged = false;
  #arePoolsChanged = false;
  readonly #changed = new Notifier();
  /** Of the collections that have to be complete. */
  readonly #complete = new Set<string>();
  readonly #relist: (() => void)[] = [];
  /** Ours while we are elected. */
  #allocator: AddressAllocator | undefined;
  readonly #outcomes = new Map<ServiceKey, Outcome>();
  /** As long as we are elected. */
  #poolStatuses: PoolStatuses | undefined;
  readonly #poolsChanged = new Notifier();
  /** Whose status may have to be written. */
  readonly #toWrite = new Set<ServiceKey>();
  readonly #hasToWrite = new Notifier();
  #electedAt = Number.NEGATIVE_INFINITY;

  constructor(options: AddressesOptions) {
    this.#options = options;
    this.#log = options.log.child({ room: 'addresses' });
    this.#poolKinds = [...CILIUM_POOLS, metallbPools(options.metallbNamespace)].map(poolObjects);
  }

  /** For metrics: of each pool, by `poolId`, and how many Services wait; only where we give. */
  get usage(): ReadonlyMap<string, PoolUsage> {
    return this.#allocator?.usage ?? new Map();
  }

  get waiting(): number {
    return this.#allocator?.waiting ?? 0;
  }

  /** Resolves when the signal aborts; rejects on a fault of our own. */
  async run(signal: AbortSignal): Promise<void> {
    const pools = this.#poolKinds.map((collection) => this.#followPools(collection, signal));
    await Promise.all([...pools, this.#awake(signal)]);
  }

  async #awake(signal: AbortSignal): Promise<void> {
    await this.#changed.until(() => this.#pools.size > 0, signal);
    if (signal.aborted) return;
    this.#log.info({}, 'There are pools of addresses: looking after Services of type LoadBalancer');
    await Promise.all([
      this.#follow(NAMESPACES, signal, (key, value) => {
        if (value) this.#namespaces.set(key, value.labels);
        else this.#namespaces.delete(key);
        this.#allocator?.setNamespace(key, value?.labels);
      }),
      this.#follow(NODES, signal, (key, node) => {
        const pods = (node?.podCidrs ?? []).flatMap((text) => {
          const prefix = parseCidr(text);
          return prefix.ok ? [prefix.value] : [];
        });
        this.#reservedHeard(`node ${key}`, `an address of node ${key}`, node?.addresses.map(hostCidr));
        this.#reservedHeard(`pods on ${key}`, `an address of pods on node ${key}`, node && pods);
      }),
      this.#follow(SERVICE_CIDRS, signal, (key, prefixes) =>
        this.#reservedHeard(`services ${key}`, `a cluster IP (ServiceCIDR ${key})`, prefixes),
      ),
      this.#follow(LOAD_BALANCER_SERVICES, signal, (key, value) => this.#serviceHeard(key as ServiceKey, value)),
      this.#give(signal),
      this.#tellOfPools(signal),
      this.#lead(signal),
    ]);
  }

  /** What another begins with is all that we have written. */
  async #lead(signal: AbortSignal): Promise<void> {
    const { client, leaseNamespace: namespace, instance: identity, clock } = this.#options;
    const lease = new KubernetesLease(client, { namespace, name: LEASE, identity, clock });
    await Promise.all([this.#stand(lease, signal), this.#write(signal)]);
    await lease.release(AbortSignal.timeout(RELEASE_MS)).catch((error: unknown) => {
      this.#log.warn({ error }, 'Cannot leave the Lease to others; they wait until it has run out');
    });
  }

  #followPools(collection: Collection<ReadPool>, signal: AbortSignal): Promise<void> {
    return this.#follow(collection, signal, (key, value) => {
      const path = `${collection.path}/${key.split('/').at(-1)}`;
      const before = this.#pools.get(path);
      this.#poolsChanged.notify();
      if (!value) this.#pools.delete(path);
      // What cannot be read, or changed nothing but what we say of it, leaves what we know.
      else if (before?.pool && (!value.pool || isSamePool(before.pool, value.pool)))
        this.#pools.set(path, { ...value, pool: before.pool });
      else this.#pools.set(path, value);
      this.#arePoolsChanged ||= before?.pool !== this.#pools.get(path)?.pool;
    });
  }

  /** By path, each once: two versions of a kind have the same objects. */
  #eachPool(): ReadonlyMap<string, ReadPool> {
    return new Map(new Map([...this.#pools].map((each) => [`${each[1].kind} ${each[1].name}`, each])).values());
  }

  #allPools(): readonly AddressPool[] {
    return [...this.#eachPool().values()].flatMap(({ pool }) => pool ?? []);
  }

  async #follow<T>(
    collection: Collection<T>,
    signal: AbortSignal,
    changed: (key: string, value: T | undefined) => void,
  ): Promise<void> {
    const handler = {
      changed: (key: string, value: T | undefined) => {
        changed(key, value);
        this.#changed.notify();
      },
      synced: () => {
        this.#complete.add(collection.path);
        this.#changed.notify();
      },
      refused: (key: string, reason: string) => {
        this.#log.warn(
          { path: collection.path, object: key, reason },
          'Object is refused; what was known of it stays in force',
        );
      },
    };
    await followCollection(this.#options.client, collection, handler, signal, this.#log, {
      report: (state) => this.#options.health.report(`kubernetes${collection.path}`, state),
      relistable: (relist) =>
        this.#relist.push(() => {
          this.#complete.delete(collection.path);
          relist();
        }),
    });
  }

  /** Nodes tell the same again and again. */
  #reservedHeard(id: string, what: string, prefixes: readonly Cidr[] = []): void {
    const ranges = prefixes.map((prefix) => reserve(prefix, what));
    const same = (a: readonly ReservedRange[]) => a.map(({ first, last }) => `${first}-${last}`).join();
    if (same(ranges) === same(this.#reserved.get(id) ?? [])) return;
    if (ranges.length > 0) this.#reserved.set(id, ranges);
    else this.#reserved.delete(id);
    this.#isReservedChanged = true;
  }

  #serviceHeard(key: ServiceKey, service: LoadBalancerService | undefined): void {
    if (service) this.#services.set(key, service);
    else {
      this.#services.delete(key);
      this.#outcomes.delete(key);
    }
    this.#allocator?.setService(key, service);
    if (!this.#outcomes.has(key)) return;
    this.#toWrite.add(key);
    this.#hasToWrite.notify();
  }

  /** Takes part in the election. */
  async #stand(lease: KubernetesLease, signal: AbortSignal): Promise<void> {
    const { leaseNamespace, clock, health } = this.#options;
    let problem = '';
    while (!signal.aborted) {
      const asked = clock.now();
      try {
        const standing = await lease.step(signal);
        if (standing === 'leader') this.#elected(asked);
        else this.#resign();
        problem = '';
        this.#report();
      } catch (error) {
        if (signal.aborted) break;
        const reason = `Lease ${leaseNamespace}/${LEASE}: ${reasonOf(error)}`;
        if (!this.#isElected) this.#resign();
        health.report(HEALTH, { kind: 'degraded', reason });
        if (reason !== problem)
          this.#log.warn({ error }, 'Kubernetes elects nobody to give out addresses; nobody gets any');
        problem = reason;
      }
      await sleep(clock, PERIOD_MS, signal);
    }
  }

  get #isElected(): boolean {
    return this.#options.clock.now() - this.#electedAt < SURE_MS;
  }

  #elected(at: number): void {
    const isNew = !this.#isElected;
    this.#electedAt = at;
    if (!isNew) return;
    this.#log.info({}, 'This replica gives out addresses from now on');
    this.#allocator = undefined;
    this.#poolStatuses = new PoolStatuses(this.#options);
    for (const relist of this.#relist) relist();
  }

  #resign(): void {
    this.#electedAt = Number.NEGATIVE_INFINITY;
    this.#allocator = undefined;
    this.#poolStatuses = undefined;
    this.#outcomes.clear();
    this.#toWrite.clear();
  }

  async #give(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const seen = this.#changed.version;
      if (this.#isElected && !this.#allocator && this.#isComplete) this.#begin();
      if (this.#isReservedChanged) this.#allocator?.setReserved([...this.#reserved.values()].flat());
      if (this.#arePoolsChanged) this.#allocator?.setPools(this.#allPools());
      this.#isReservedChanged = false;
      this.#arePoolsChanged = false;
      for (const [key, outcome] of this.#allocator?.settle() ?? []) {
        this.#outcomes.set(key, outcome);
        this.#toWrite.add(key);
        this.#tell(key, outcome);
      }
      this.#poolsChanged.notify();
      this.#report();
      if (this.#toWrite.size > 0) this.#hasToWrite.notify();
      await this.#changed.changed(seen, signal);
    }
  }

  async #tellOfPools(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const seen = this.#poolsChanged.version;
      const [allocator, statuses] = [this.#allocator, this.#poolStatuses];
      if (allocator && this.#isElected) await statuses?.write(this.#eachPool(), allocator, signal);
      await sleep(clock, STATUS_MS.least, signal);
      await this.#poolsChanged.changedWithin(seen, STATUS_MS.most, clock, signal);
    }
  }

  /** Ends with nothing under way. */
  async #write(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const seen = this.#hasToWrite.version;
      const due = [...this.#toWrite].slice(0, AT_ONCE);
      for (const key of due) this.#toWrite.delete(key);
      await Promise.all(due.map((key) => this.#writeOne(key)));
      if (this.#toWrite.size === 0) await this.#hasToWrite.changed(seen, signal);
    }
  }

  get #isComplete(): boolean {
    return [...this.#poolKinds, NAMESPACES, NODES, SERVICE_CIDRS, LOAD_BALANCER_SERVICES].every(({ path }) =>
      this.#complete.has(path),
    );
  }

  #begin(): void {
    const allocator = new AddressAllocator();
    allocator.setReserved([...this.#reserved.values()].flat());
    for (const [name, labels] of this.#namespaces) allocator.setNamespace(name, labels);
    for (const [key, service] of this.#services) allocator.setService(key, service);
    allocator.setPools(this.#allPools());
    this.#outcomes.clear();
    this.#allocator = allocator;
  }

  async #writeOne(key: ServiceKey): Promise<void> {
    const { client, clock } = this.#options;
    const [service, outcome] = [this.#services.get(key), this.#outcomes.get(key)];
    if (!service || !outcome || !this.#isElected) return;
    const now = inSeconds(clock.wallTime());
    const within = AbortSignal.timeout(WRITE_MS);
    const status = statusOf(service, outcome, now);
    if (!status) return;
    const { namespace, name } = splitServiceKey(key);
    const { uid, resourceVersion } = service;
    const path = `/api/v1/namespaces/${namespace}/services/${name}/status`;
    try {
      await client.send('PATCH', path, { metadata: { uid, resourceVersion }, status }, within);
    } catch (error) {
      // It is another one by now: that will be heard.
      if (error instanceof ApiError && (error.status === 409 || error.status === 404)) return;
      this.#log.warn({ service: key, error }, 'Cannot write the addresses of a Service; trying again');
      clock.after(AGAIN_MS, () => {
        this.#toWrite.add(key);
        this.#hasToWrite.notify();
      });
      return;
    }
    const event = eventOf(service, outcome, now);
    await client.send('POST', `/api/v1/namespaces/${namespace}/events`, event, within).catch((error: unknown) => {
      this.#log.debug({ service: key, error }, 'Cannot write an Event; the status says the same');
    });
  }

  #tell(key: ServiceKey, outcome: Outcome): void {
    if (outcome === 'withdraw') this.#log.info({ service: key }, 'Addresses are taken back');
    else if (outcome.reason === 'satisfied') {
      this.#log.info({ service: key, addresses: outcome.addresses }, 'Service has its addresses');
    } else {
      const { addresses, reason, message } = outcome;
      this.#log.warn({ service: key, addresses, reason, message }, 'Service does not have what it asks for');
    }
  }

  #report(): void {
    const conflicts = [...(this.#allocator?.conflicts ?? [])].map(([id, why]) => `${id}: ${why}`);
    const reason = `pools give out nothing: ${conflicts.join('; ')}`;
    this.#options.health.report(HEALTH, conflicts.length > 0 ? { kind: 'degraded', reason } : { kind: 'ok' });
  }
}
