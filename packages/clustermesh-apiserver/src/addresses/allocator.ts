/**
 * Which Service of type LoadBalancer gets which addresses. Without input or output: it is told of pools and Services, and
 * answers what changes. What was given stands in the Services' status and nowhere else; who has an address there is heard
 * before anything is given out, so a new allocator goes on where another ended.
 *
 * P1. No address is given to two Services that may not share it, nor one that somebody else has taken.
 * P2. A Service keeps its addresses as long as it asks for nothing else. What becomes of pools takes nothing from anybody:
 *     who has what no pool would give any more is told so, and keeps it.
 * P3. Those who have addresses are served before those who do not, and among them the oldest.
 * P4. What is reserved is given to nobody, whatever the pools have.
 * P5. Whoever gets less than he asks for is told which rule decided.
 */
import { type AddressPool, isFor, poolId } from '@tombolo/shared/model/address-pool.ts';
import { type AddressRange, addressAt, isIn, numberOf } from '@tombolo/shared/model/address-range.ts';
import type {
  AddressReason,
  AddressRequest,
  Assignment,
  TakenAddresses,
} from '@tombolo/shared/model/address-request.ts';
import { familyOf, type IpAddress, type IpFamily, sortByIp } from '@tombolo/shared/model/ip.ts';
import type { Labels } from '@tombolo/shared/model/label-selector.ts';
import { compareText } from '@tombolo/shared/model/order.ts';
import { conflictOf, conflictsAmong } from '@tombolo/shared/model/pool-conflicts.ts';
import { type RangeEntry, RangeIndex } from '@tombolo/shared/model/range-index.ts';
import { ReservedAddresses, type ReservedRange } from '@tombolo/shared/model/reserved-addresses.ts';
import { type ServiceKey, splitServiceKey } from '@tombolo/shared/model/service.ts';
import { AddressUsers } from './address-users.ts';
import { OpenPools } from './open-pools.ts';
import { capacityOf, isPassedOver, type PoolUsage } from './pool-usage.ts';

/** A Service as the allocator is told of it. */
export interface Claimant {
  readonly taken: TakenAddresses;
  readonly request: AddressRequest | undefined;
}

/** What is to be said in the status of a Service; `withdraw`: nothing any more, and what we gave goes. */
export type Outcome = Assignment | 'withdraw';

interface Known extends Claimant {
  /** What we gave it, or found it to have. */
  readonly addresses: readonly IpAddress[];
  readonly outcome: Outcome | undefined;
}

/** Why somebody does not get an address. */
interface Refusal {
  readonly reason: Exclude<AddressReason, 'satisfied'>;
  readonly message: string;
}

export class AddressAllocator {
  /** In the order in which they are tried. */
  #pools: readonly AddressPool[] = [];
  /** Those of them that give out addresses. */
  #giving = new OpenPools([]);
  /** All their ranges, each with the place of its pool. */
  #ranges = RangeIndex.of<number>([]);
  /** Those that give nothing because they overlap another, by `poolId`. */
  #conflicts: ReadonlyMap<string, AddressPool> = new Map();
  readonly #known = new Map<ServiceKey, Known>();
  readonly #users = new AddressUsers();
  readonly #namespaces = new Map<string, Labels>();
  readonly #dirty = new Set<ServiceKey>();
  /** Those who did not get all that they asked for. */
  readonly #waiting = new Set<ServiceKey>();
  /** Below it no address of the range is free; of ranges of the pools that there are. */
  #firstFree = new Map<AddressRange, bigint>();
  #reserved = new ReservedAddresses([]);
  /** Somebody who waits may get something now. */
  #hasNews = false;

  setPools(pools: Iterable<AddressPool>): void {
    this.#pools = inOrder([...pools]);
    this.#conflicts = conflictsAmong(this.#pools);
    this.#giving = new OpenPools(this.#pools.filter((pool) => this.#gives(pool)));
    const entries = this.#pools.flatMap(({ ranges }, value) =>
      ranges.map((range): RangeEntry<number> => ({ range, value })),
    );
    this.#ranges = RangeIndex.of(entries);
    const known = this.#firstFree;
    this.#firstFree = new Map();
    for (const { range } of entries) {
      const first = known.get(range);
      if (first !== undefined) this.#firstFree.set(range, first);
    }
    for (const key of this.#known.keys()) this.#dirty.add(key);
  }

  /** What the cluster itself uses. */
  setReserved(own: readonly ReservedRange[]): void {
    this.#reserved = new ReservedAddresses(own);
    this.#firstFree.clear();
    for (const key of this.#known.keys()) this.#dirty.add(key);
  }

  setNamespace(name: string, labels: Labels | undefined): void {
    if (labels) this.#namespaces.set(name, labels);
    else this.#namespaces.delete(name);
    for (const key of this.#known.keys()) if (splitServiceKey(key).namespace === name) this.#dirty.add(key);
  }

  setService(key: ServiceKey, claimant: Claimant | undefined): void {
    const known = this.#known.get(key);
    this.#dirty.add(key);
    if (!claimant) {
      this.#release(key, known?.addresses ?? []);
      this.#known.delete(key);
      this.#waiting.delete(key);
      return;
    }
    const addresses = heldBy(claimant, known);
    this.#release(key, known?.addresses ?? []);
    this.#known.set(key, { ...claimant, addresses, outcome: known?.outcome });
  }

  /** Why pools give out nothing that should, by `poolId`. */
  get conflicts(): ReadonlyMap<string, string> {
    const conflicting = this.#pools.filter((pool) => this.#conflicts.has(poolId(pool)));
    return new Map(conflicting.map((pool) => [poolId(pool), this.#whyNot(pool)]));
  }

  /** Of every pool, by `poolId`. */
  get usage(): ReadonlyMap<string, PoolUsage> {
    const counts = this.#pools.map(() => ({ 4: { used: 0, passedOver: 0 }, 6: { used: 0, passedOver: 0 } }));
    for (const address of this.#users.addresses) {
      const [family, number] = [familyOf(address), numberOf(address)];
      const isReserved = this.#reserved.with(address) !== undefined;
      for (const place of this.#placesWith(family, number)) {
        const [pool, count] = [this.#pools[place], counts[place]?.[family]];
        if (!pool || !count) continue;
        count.used++;
        if (isReserved || isPassedOver(pool, family, number)) count.passedOver++;
      }
    }
    return new Map(
      this.#pools.map((pool, place) => {
        const of = (family: IpFamily) => {
          const { used = 0, passedOver = 0 } = counts[place]?.[family] ?? {};
          return { used, available: capacityOf(pool, family, this.#reserved) - BigInt(used - passedOver) };
        };
        return [poolId(pool), { 4: of(4), 6: of(6) }];
      }),
    );
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Decides about all that was told since; answers those for whom the outcome is another now. */
  settle(): ReadonlyMap<ServiceKey, Outcome> {
    const changed = new Map<ServiceKey, Outcome>();
    const due = [...this.#dirty].flatMap((key) => this.#known.get(key) ?? []).sort(oldestFirst);
    this.#dirty.clear();
    for (const known of due) this.#keep(known);
    for (const known of due) this.#decide(known.taken.key, changed);
    if (this.#hasNews) {
      this.#hasNews = false;
      const waiting = [...this.#waiting].flatMap((key) => this.#known.get(key) ?? []).sort(oldestFirst);
      for (const known of waiting) this.#decide(known.taken.key, changed);
    }
    return changed;
  }

  /** Enters what it has, as far as it still may have it. */
  #keep({ taken, request, addresses }: Known): void {
    const known = this.#known.get(taken.key);
    if (!known) return;
    const kept = request ? addresses.filter((address) => this.#mayKeep(request, address, addresses)) : [];
    this.#free(
      taken.key,
      addresses.filter((address) => !kept.includes(address)),
    );
    const mine = request ?? { key: taken.key, sharing: undefined, ports: [] };
    // Of others, and of Services that ask for none: nobody else gets them.
    const others = [...taken.external, ...(request || taken.isOurs ? [] : taken.held)];
    for (const address of [...kept, ...others]) this.#users.add(address, mine);
    this.#known.set(taken.key, { ...known, addresses: kept });
  }

  #mayKeep(request: AddressRequest, address: IpAddress, all: readonly IpAddress[]): boolean {
    const { families, policy, wanted, wantedPool } = request;
    const family = familyOf(address);
    if (!families.includes(family)) return false;
    if (policy === 'SingleStack' && family !== families[0]) return false;
    if (wanted.length > 0 && !wanted.includes(address)) return false;
    if (wanted.length === 0 && all.find((other) => familyOf(other) === family) !== address) return false;
    if (wantedPool !== undefined && !this.#poolsWith(address).some((pool) => isNamed(pool, wantedPool))) return false;
    return this.#users.rivalOf(address, request) === undefined;
  }

  #decide(key: ServiceKey, changed: Map<ServiceKey, Outcome>): void {
    const known = this.#known.get(key);
    if (!known) return;
    const { request, taken } = known;
    // What was told once is told again.
    const isOurs = taken.isOurs || known.outcome !== undefined;
    const outcome = request ? this.#serve(request, known.addresses, isOurs) : isOurs ? 'withdraw' : undefined;
    const addresses = outcome === undefined ? known.addresses : outcome === 'withdraw' ? [] : outcome.addresses;
    this.#known.set(key, { ...known, addresses, outcome });
    if (outcome === undefined || outcome === 'withdraw' || outcome.reason === 'satisfied') this.#waiting.delete(key);
    else this.#waiting.add(key);
    if (outcome !== undefined && !isSame(outcome, known.outcome)) changed.set(key, outcome);
  }

  /** Undefined: somebody else's affair, or nobody's as long as there are no pools. */
  #serve(request: AddressRequest, has: readonly IpAddress[], isOurs: boolean): Assignment | undefined {
    const { wanted } = request;
    if (!isOurs && this.#pools.length === 0) return undefined;
    const isForeign = !isOurs && has.length > 0 && !has.some((address) => this.#isFromPools(address));
    if (isForeign) return undefined;
    const refusals: Refusal[] = [];
    const addresses = [...has];
    const take = (found: IpAddress | Refusal): void => {
      if (typeof found !== 'string') refusals.push(found);
      else {
        this.#users.add(found, request);
        addresses.push(found);
      }
    };
    if (wanted.length > 0) {
      for (const address of wanted) if (!addresses.includes(address)) take(this.#grant(request, address));
    } else for (const found of this.#find(request, addresses)) take(found);
    refusals.push(...this.#stranded(request, addresses));
    return assignment(request, addresses, refusals);
  }

  /** An address that was asked for. */
  #grant(request: AddressRequest, address: IpAddress): IpAddress | Refusal {
    const family = familyOf(address);
    if (!neededFamilies(request).includes(family)) {
      return { reason: 'wrong_family', message: `${address} is of a family that the Service does not have` };
    }
    const pools = this.#poolsWith(address);
    const giving = pools.filter((pool) => this.#gives(pool));
    if (giving.length === 0) {
      const [pool] = pools;
      const message = pool ? `pool ${poolId(pool)} gives out nothing: ${this.#whyNot(pool)}` : `no pool has ${address}`;
      return { reason: 'no_pool', message };
    }
    const reserved = this.#reserved.with(address);
    if (reserved) return { reason: 'reserved', message: `${address} is ${reserved.what}` };
    const open = giving.filter((pool) => this.#isOpen(pool, request));
    if (open.length === 0) {
      return { reason: 'pool_selector_mismatch', message: `${names(giving)} is not for this Service` };
    }
    const rival = this.#users.rivalOf(address, request);
    if (!rival) return address;
    return request.sharing && rival.sharing
      ? {
          reason: 'already_allocated_incompatible_service',
          message: `${address} is used by ${rival.key}, which cannot share it with this Service`,
        }
      : { reason: 'already_allocated', message: `${address} is used by ${rival.key}` };
  }

  /** What is still missing, of any address. */
  #find(request: AddressRequest, has: readonly IpAddress[]): readonly (IpAddress | Refusal)[] {
    const missing = neededFamilies(request).filter((family) => !has.some((address) => familyOf(address) === family));
    const [only] = missing;
    if (only === undefined) return [];
    if (missing.length === 1 && has.length === 0) {
      const found = this.#firstWith(this.#openTo(request), only, request)?.address;
      if (found !== undefined) return [found];
    }
    const open = [...this.#openTo(request)];
    if (open.length === 0) return [this.#closed(request)];
    const found = this.#findIn(open, missing, request, has);
    const lacking = missing.filter((family) => !found.some((address) => familyOf(address) === family));
    if (lacking.length > 0 && request.policy === 'RequireDualStack') return [this.#exhausted(open, lacking, request)];
    return lacking.length > 0 ? [...found, this.#exhausted(open, lacking, request)] : found;
  }

  /** Pools that may give it any address of theirs, in order. */
  *#openTo(request: AddressRequest): Generator<AddressPool> {
    for (const pool of this.#giving.for(request))
      if (isOffered(pool, request) && this.#isOpen(pool, request)) yield pool;
  }

  #closed({ wantedPool }: AddressRequest): Refusal {
    if (this.#giving.size === 0) {
      const message = this.#pools.length === 0 ? 'there is no pool' : 'no pool gives out anything';
      return { reason: 'no_pool', message };
    }
    const message =
      wantedPool === undefined ? 'no pool is for this Service' : `no pool ${wantedPool} is for this Service`;
    return { reason: 'pool_selector_mismatch', message };
  }

  /** Of one pool, if it has all that is missing. Several pools may add up if they are Cilium's. */
  #findIn(
    pools: readonly AddressPool[],
    missing: readonly IpFamily[],
    request: AddressRequest,
    has: readonly IpAddress[],
  ): readonly IpAddress[] {
    const source = this.#pools.find((pool) => has.some((address) => isInPool(pool, address)));
    const mayAdd = source?.product === 'metallb' ? pools.filter((pool) => pool === source) : pools;
    for (const pool of mayAdd) {
      const found = missing.flatMap((family) => this.#freeIn(pool, family, request) ?? []);
      if (found.length === missing.length) return found;
    }
    const ciliums = pools.filter((pool) => pool.product === 'cilium');
    const found: IpAddress[] = [];
    let pool = source;
    for (const family of missing) {
      const rest = pool || request.policy === 'RequireDualStack' ? (pool?.product === 'metallb' ? [] : ciliums) : pools;
      const first = this.#firstWith(rest, family, request);
      if (first) found.push(first.address);
      pool ??= first?.pool;
    }
    return found;
  }

  #firstWith(
    pools: Iterable<AddressPool>,
    family: IpFamily,
    request: AddressRequest,
  ): { readonly pool: AddressPool; readonly address: IpAddress } | undefined {
    for (const pool of pools) {
      const address = this.#freeIn(pool, family, request);
      if (address !== undefined) return { pool, address };
    }
    return undefined;
  }

  /** One that its circle uses, else the lowest that is free. */
  #freeIn(pool: AddressPool, family: IpFamily, request: AddressRequest): IpAddress | undefined {
    const [shared] = request.sharing ? this.#sharedIn(pool, family, request) : [];
    if (shared !== undefined) return shared;
    for (const range of pool.ranges) {
      if (range.family !== family) continue;
      let number = this.#firstFree.get(range) ?? range.first;
      while (number <= range.last) {
        const reserved = this.#reserved.rangeWith(family, number);
        if (!reserved && !isPassedOver(pool, family, number) && !this.#users.isUsed(addressAt(family, number))) break;
        number = reserved ? reserved.last + 1n : number + 1n;
      }
      this.#firstFree.set(range, number);
      if (number <= range.last) return addressAt(family, number);
    }
    return undefined;
  }

  #sharedIn(pool: AddressPool, family: IpFamily, request: AddressRequest): readonly IpAddress[] {
    const shared = this.#users
      .sharedWith(request)
      .filter((address) => familyOf(address) === family && isInPool(pool, address))
      .filter((address) => !this.#reserved.with(address) && this.#users.rivalOf(address, request) === undefined);
    return sortByIp(shared, (address) => address);
  }

  #exhausted(pools: readonly AddressPool[], families: readonly IpFamily[], request: AddressRequest): Refusal {
    const what = families.map((family) => `IPv${family}`).join(' and ');
    const needs = request.policy === 'RequireDualStack' ? ', and the Service requires both families' : '';
    return { reason: 'out_of_ips', message: `no ${what} address is left in ${names(pools)}${needs}` };
  }

  /** What it has and would not get today (P2). */
  #stranded(request: AddressRequest, addresses: readonly IpAddress[]): readonly Refusal[] {
    return addresses.flatMap((address): Refusal[] => {
      const reserved = this.#reserved.with(address);
      if (reserved) return [{ reason: 'stranded', message: `${address} is kept, though it is ${reserved.what}` }];
      const pools = this.#poolsWith(address);
      if (pools.some((pool) => this.#isOpen(pool, request))) return [];
      const why = pools.length === 0 ? 'no pool has it any more' : `${names(pools)} is no longer for this Service`;
      return [{ reason: 'stranded', message: `${address} is kept, though ${why}` }];
    });
  }

  /** All that it uses. */
  #release(key: ServiceKey, addresses: readonly IpAddress[]): void {
    const { external = [], held = [] } = this.#known.get(key)?.taken ?? {};
    this.#free(key, [...addresses, ...external, ...held]);
  }

  #free(key: ServiceKey, addresses: readonly IpAddress[]): void {
    for (const address of addresses) {
      if (!this.#users.isUsedBy(address, key)) continue;
      this.#users.remove(address, key);
      this.#hasNews = true;
      const [family, number] = [familyOf(address), numberOf(address)];
      for (const { range } of this.#ranges.with(family, number)) {
        const first = this.#firstFree.get(range);
        if (first !== undefined && number < first) this.#firstFree.set(range, number);
      }
    }
  }

  #isFromPools(address: IpAddress): boolean {
    return !this.#reserved.with(address) && this.#poolsWith(address).length > 0;
  }

  #poolsWith(address: IpAddress): readonly AddressPool[] {
    const places = [...this.#placesWith(familyOf(address), numberOf(address))].sort((a, b) => a - b);
    return places.flatMap((place) => this.#pools[place] ?? []);
  }

  /** Of the pools that have it. */
  #placesWith(family: IpFamily, number: bigint): ReadonlySet<number> {
    const places = new Set<number>();
    for (const { value } of this.#ranges.with(family, number)) places.add(value);
    return places;
  }

  #gives(pool: AddressPool): boolean {
    return !pool.disabled && !this.#conflicts.has(poolId(pool));
  }

  #whyNot(pool: AddressPool): string {
    const other = this.#conflicts.get(poolId(pool));
    return other ? conflictOf(pool, other) : 'it is disabled';
  }

  #isOpen(pool: AddressPool, { key, labels }: AddressRequest): boolean {
    return isFor(pool, key, labels, this.#namespaces.get(splitServiceKey(key).namespace) ?? {});
  }
}

/**
 * What it has, before anything is decided: what is in its status; what we decided and it does not show yet. When somebody
 * else wrote another address there, that counts.
 */
function heldBy({ request, taken }: Claimant, known: Known | undefined): readonly IpAddress[] {
  const held = request ? taken.held : [];
  if (!known?.request) return held;
  const isEchoed = held.every((address) => known.addresses.includes(address) || known.taken.held.includes(address));
  return isEchoed || taken.held.length === 0 ? known.addresses : held;
}

/** Pools are tried in this order: those that are reserved, by priority; then the others; each by name. */
const inOrder = (pools: readonly AddressPool[]): readonly AddressPool[] =>
  pools
    .map((pool) => ({ pool, id: poolId(pool), isForAll: pool.reservation === undefined }))
    .sort(
      (a, b) =>
        Number(a.isForAll) - Number(b.isForAll) ||
        (a.pool.priority === b.pool.priority ? 0 : a.pool.priority - b.pool.priority) ||
        compareText(a.id, b.id),
    )
    .map(({ pool }) => pool);

function isInPool({ ranges }: AddressPool, address: IpAddress): boolean {
  const [family, number] = [familyOf(address), numberOf(address)];
  return ranges.some((range) => isIn(range, family, number));
}

const isNamed = ({ product, name }: AddressPool, wanted: string): boolean => product === 'metallb' && name === wanted;

/** Whether somebody may get any address of it who asks for none in particular. */
const isOffered = (pool: AddressPool, { wantedPool }: AddressRequest): boolean =>
  wantedPool === undefined ? pool.automatic : isNamed(pool, wantedPool);

const neededFamilies = ({ families, policy }: AddressRequest): readonly IpFamily[] =>
  policy === 'SingleStack' ? families.slice(0, 1) : families;

/** Those that have something first, of them the oldest. */
const oldestFirst = (a: Known, b: Known): number =>
  Number(a.addresses.length === 0) - Number(b.addresses.length === 0) ||
  compareText(a.request?.createdAt ?? '', b.request?.createdAt ?? '') ||
  compareText(a.taken.key, b.taken.key);

/** So many are named in a message. */
const MOST_NAMES = 5;

function names(pools: readonly AddressPool[]): string {
  const more = pools.length - MOST_NAMES;
  const named = pools.slice(0, MOST_NAMES).map(poolId).join(', ');
  return `${pools.length === 1 ? 'pool' : 'pools'} ${named}${more > 0 ? ` and ${more} more` : ''}`;
}

function assignment(
  request: AddressRequest,
  addresses: readonly IpAddress[],
  [first, ...more]: readonly Refusal[],
): Assignment {
  const sorted = neededFamilies(request).flatMap((family) => addresses.filter((each) => familyOf(each) === family));
  if (!first) return { addresses: sorted, reason: 'satisfied', message: '' };
  return {
    addresses: sorted,
    reason: first.reason,
    message: [first, ...more].map(({ message }) => message).join('; '),
  };
}

const isSame = (a: Outcome, b: Outcome | undefined): boolean =>
  a === b ||
  (a !== 'withdraw' &&
    b !== undefined &&
    b !== 'withdraw' &&
    a.reason === b.reason &&
    a.message === b.message &&
    `${a.addresses}` === `${b.addresses}`);
