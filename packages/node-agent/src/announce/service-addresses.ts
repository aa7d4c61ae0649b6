/**
 * The addresses of all Services of this cluster as this node sees them now (`service-address.ts`), kept up to date Service
 * by Service. One writer; whoever announces reads, and is told when there is something to read.
 */
import type { AddressPool } from '@tombolo/shared/model/address-pool.ts';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts, TableReader } from '@tombolo/shared/model/service-table.ts';
import { Notifier } from '@tombolo/shared/process/notifier.ts';
import { type AnnouncingNode, type ServiceAddress, serviceAddresses } from './service-address.ts';

export interface ServiceAddressesOptions {
  readonly table: Pick<TableReader, 'snapshot' | 'changesSince' | 'onChange'>;
  /** The revision of the table that all of this node's datapath has. */
  readonly applied: () => number;
}

export class ServiceAddresses {
  readonly #options: ServiceAddressesOptions;
  readonly #unsubscribe: () => void;
  readonly #facts = new Map<ServiceKey, ServiceFacts>();
  readonly #byService = new Map<ServiceKey, readonly ServiceAddress[]>();
  /** The revision at which an address has to be in the kernel before it is announced, by Service. */
  readonly #needed = new Map<ServiceKey, ReadonlyMap<IpAddress, number>>();
  readonly #changed = new Notifier();
  #node: AnnouncingNode;
  #pools: readonly AddressPool[] = [];
  #revision = -1;

  constructor(options: ServiceAddressesOptions, node: AnnouncingNode) {
    this.#options = options;
    this.#node = node;
    this.#catchUp();
    this.#unsubscribe = options.table.onChange(() => this.#catchUp());
  }

  /** By Service; none that has no address. It changes under the reader. */
  get all(): ReadonlyMap<ServiceKey, readonly ServiceAddress[]> {
    return this.#byService;
  }

  get changed(): Notifier {
    return this.#changed;
  }

  setNode(node: AnnouncingNode): void {
    if (node.isExcluded === this.#node.isExcluded) return;
    this.#node = node;
    this.#decide(this.#facts.keys());
  }

  setPools(pools: readonly AddressPool[]): void {
    this.#pools = pools;
    this.#decide(this.#facts.keys());
  }

  /** To be called when the kernel has more of the table. */
  applied(): void {
    if (this.#needed.size > 0) this.#decide([...this.#needed.keys()]);
  }

  close(): void {
    this.#unsubscribe();
  }

  #catchUp(): void {
    const { table } = this.#options;
    const changes = table.changesSince(this.#revision);
    const isWhole = changes === 'compacted';
    const { revision, services } = isWhole
      ? table.snapshot()
      : { revision: changes.revision, services: changes.changed };
    this.#revision = revision;
    const gone = isWhole ? [...this.#facts.keys()].filter((key) => !services.has(key)) : [];
    for (const key of gone) this.#facts.delete(key);
    for (const [key, facts] of services) {
      if (facts?.service) this.#facts.set(key, facts);
      else this.#facts.delete(key);
    }
    this.#decide([...gone, ...services.keys()]);
  }

  #decide(keys: Iterable<ServiceKey>): void {
    let isOther = false;
    for (const key of keys) isOther = this.#decideOne(key) || isOther;
    if (isOther) this.#changed.notify();
  }

  #decideOne(key: ServiceKey): boolean {
    const facts = this.#facts.get(key);
    const before = this.#byService.get(key);
    if (!facts) {
      this.#needed.delete(key);
      return this.#byService.delete(key);
    }
    const announced = new Set(
      before?.filter(({ obstacle, drains }) => !obstacle || drains).map(({ address }) => address),
    );
    const applied = this.#options.applied();
    const needed = (address: IpAddress): number => this.#needed.get(key)?.get(address) ?? this.#revision;
    const now = serviceAddresses(
      facts,
      this.#node,
      this.#pools,
      (address) => announced.has(address) || applied >= needed(address),
    );
    const waiting = now.filter(({ obstacle }) => obstacle === 'notProgrammed');
    if (waiting.length > 0) this.#needed.set(key, new Map(waiting.map(({ address }) => [address, needed(address)])));
    else this.#needed.delete(key);
    if (now.length > 0) this.#byService.set(key, now);
    else this.#byService.delete(key);
    return now.length > 0 || before !== undefined;
  }
}
