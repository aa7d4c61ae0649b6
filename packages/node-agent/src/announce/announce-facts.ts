/**
 * What every way of announcing is decided from, and Kubernetes alone knows: the nodes, the pools, and the addresses of
 * Services as this node sees them. Followed only while somebody announces.
 */
import type { KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import { type Collection, followCollection } from '@tombolo/shared/kubernetes/collection.ts';
import { CILIUM_POOLS, metallbPools, NODES } from '@tombolo/shared/kubernetes/collections.ts';
import type { KubernetesNode } from '@tombolo/shared/kubernetes/node-object.ts';
import type { ServiceScope } from '@tombolo/shared/merge/context.ts';
import { type AddressPool, isSamePool, poolId } from '@tombolo/shared/model/address-pool.ts';
import type { TableReader } from '@tombolo/shared/model/service-table.ts';
import type { HealthTree } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { Notifier } from '@tombolo/shared/process/notifier.ts';
import { ServiceAddresses } from './service-addresses.ts';

export interface AnnounceFactsOptions {
  readonly client: KubernetesClient;
  readonly table: Pick<TableReader, 'snapshot' | 'changesSince' | 'onChange'>;
  /** The revision of the table that all of this node's datapath has; below 0: none yet. */
  readonly applied: () => number;
  readonly nodeName: string;
  readonly scope: ServiceScope;
  /** Where MetalLB's objects are. */
  readonly metallbNamespace: string;
  readonly health: HealthTree;
  readonly log: Logger;
}

/** Each agent asks for kinds that are not there no more often than this. */
export const ABSENT_MS = 30_000;

export class AnnounceFacts {
  readonly #options: AnnounceFactsOptions;
  readonly #nodes = new Map<string, KubernetesNode>();
  /** By the path of their collection and their key there. */
  readonly #pools = new Map<string, AddressPool>();
  readonly #waitingFor: Set<string>;
  readonly #changed = new Notifier();
  #addresses: ServiceAddresses | undefined;

  constructor(options: AnnounceFactsOptions) {
    this.#options = options;
    this.#waitingFor = new Set([NODES, ...this.#poolKinds].map(({ path }) => path));
  }

  /** Undefined until `run`. */
  get addresses(): ServiceAddresses | undefined {
    return this.#addresses;
  }

  get nodes(): ReadonlyMap<string, KubernetesNode> {
    return this.#nodes;
  }

  /** Of everything here; the addresses have one of their own besides. */
  get changed(): Notifier {
    return this.#changed;
  }

  /** Whether nothing is missing that is there: until then nothing that was announced may be taken back. */
  get isComplete(): boolean {
    return this.#addresses !== undefined && this.#waitingFor.size === 0 && this.#options.applied() >= 0;
  }

  /** To be called when the kernel has more of the table. */
  applied(): void {
    this.#addresses?.applied();
    this.#changed.notify();
  }

  /** Resolves when the signal aborts; rejects on a fault of our own. */
  async run(signal: AbortSignal): Promise<void> {
    const { table, applied, nodeName: name, scope } = this.#options;
    const addresses = new ServiceAddresses({ table, applied }, { name, scope, isExcluded: false });
    this.#addresses = addresses;
    await Promise.all([
      this.#tellOf(addresses, signal),
      this.follow(NODES, signal, (name, node) => this.#nodeChanged(name, node)),
      ...this.#poolKinds.map((collection) =>
        this.follow(collection, signal, (key, pool) => {
          const id = `${collection.path} ${key}`;
          const before = this.#pools.get(id);
          if (before && pool && isSamePool(before, pool)) return;
          if (pool) this.#pools.set(id, pool);
          else this.#pools.delete(id);
          // Both versions of a kind have the same objects.
          const all = new Map([...this.#pools.values()].map((each) => [poolId(each), each]));
          addresses.setPools([...all.values()]);
        }),
      ),
    ]);
    addresses.close();
  }

  /** Of any kind that announcing is decided from; `synced` at its first complete listing. */
  follow<T>(
    collection: Collection<T>,
    signal: AbortSignal,
    changed: (key: string, value: T | undefined) => void,
    synced: () => void = () => {},
  ): Promise<void> {
    const { client, health, log } = this.#options;
    const handler = {
      changed: (key: string, value: T | undefined) => {
        changed(key, value);
        this.#changed.notify();
      },
      synced: () => {
        this.#waitingFor.delete(collection.path);
        synced();
        this.#changed.notify();
      },
      refused: (object: string, reason: string) =>
        log.warn({ path: collection.path, object, reason }, 'Object is refused; what was known of it stays in force'),
    };
    return followCollection(client, { ...collection, absentMs: ABSENT_MS }, handler, signal, log, {
      report: (state) => health.report(`kubernetes${collection.path}`, state),
    });
  }

  async #tellOf({ changed }: ServiceAddresses, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await changed.changed(changed.version, signal);
      this.#changed.notify();
    }
  }

  get #poolKinds(): readonly Collection<AddressPool>[] {
    return [...CILIUM_POOLS, metallbPools(this.#options.metallbNamespace)];
  }

  #nodeChanged(name: string, node: KubernetesNode | undefined): void {
    const { nodeName, scope } = this.#options;
    if (node) this.#nodes.set(name, node);
    else this.#nodes.delete(name);
    if (name === nodeName) this.#addresses?.setNode({ name, scope, isExcluded: isExcluded(node) });
  }
}

/** One that is about to go hands over while it still forwards. */
export const isExcluded = (node: KubernetesNode | undefined): boolean =>
  node === undefined || node.excludedFromLoadBalancers || node.leaving;
