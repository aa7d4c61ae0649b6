/**
 * The datapath at the socket hooks: has changes planned and carried out, and sweeps up later what they left. Everything
 * that outlives it is pinned below `pinDir`, in a directory named for the layout.
 *
 * E1. One thing at a time writes the maps (`#exclusive`); only the wait for a grace period runs beside.
 * E2. `#tables` follows the kernel. Whoever replaces it by a fresh reading makes a sweep under way give up.
 */
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import type { FrontendRoute, RouteChanges, Routes } from '@tombolo/shared/model/routes.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { inSlices } from '@tombolo/shared/process/slices.ts';
import type { ApplyReport, Datapath } from '../datapath.ts';
import { joinRoutes } from '../join-routes.ts';
import type { NodeFacts } from '../node-facts.ts';
import { carryOut, type MapWriter } from './executor.ts';
import type { GracePeriod } from './grace-period.ts';
import { areAsKnown } from './map-check.ts';
import { entriesOf, entryId, frontendOfEntry, type MapClients, type MapFrontend } from './map-entry.ts';
import type { MapState, Retiring } from './map-state.ts';
import type { PacketPath } from './packets/packet-path.ts';
import type { RetiredPackets } from './packets/retired.ts';
import { rangeKeys } from './packets/source-ranges.ts';
import type { PinnedMaps } from './pinned-maps.ts';
import { type MapRoute, PlanDraft, planSweep } from './planner.ts';
import { recoverTables, routesOf } from './recovery.ts';
import { stateDifference } from './state-difference.ts';

type RangeMethod = 'readRanges' | 'takeOutRanges' | 'putInRanges';

export interface EbpfParts {
  /** Of programs and pins: what is not as it was, in a few words; and puts it back. */
  readonly attachment: { verify(): string | undefined; repair(): void };
  readonly maps: PinnedMaps;
  /** Undefined where packets are left to nftables. */
  readonly packets:
    | Pick<PacketPath, 'sync' | 'verify' | 'foreign' | 'close' | 'hooks' | 'fill' | RangeMethod>
    | undefined;
  /** Packet programs that are not wanted any more. */
  readonly retired: Pick<RetiredPackets, 'sync'>;
  readonly grace: GracePeriod;
  readonly node: () => NodeFacts;
  readonly log: Logger;
  readonly sweepDelayMs: number;
  /** What serves until `takeOver`, as far as it can be read. */
  readonly readFormer: () => Promise<readonly FrontendRoute[]>;
  /** Ends what other agents left at the hooks; called once the maps are whole. */
  readonly takeOver: () => void;
  /** What of others runs before ours at the socket hooks. */
  readonly foreign: () => readonly string[];
  /** Lets go of what is not in the kernel's keeping. */
  readonly release: () => void;
  /** Takes everything out of the kernel. */
  readonly remove: () => void;
}

const NO_RANGES: ReadonlySet<string> = new Set();

export class EbpfDatapath implements Datapath {
  readonly name = 'ebpf';
  readonly #parts: EbpfParts;
  readonly #writer: MapWriter;
  #tables: MapState;
  #node: NodeFacts;
  /** Addresses of frontends that are left to the node, which has them. */
  readonly #left = new Set<IpAddress>();
  #turn: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #isOpen = true;
  /** Has been given a whole table. */
  #isWhole = false;

  constructor(parts: EbpfParts, tables: MapState) {
    this.#parts = parts;
    this.#writer = parts.maps.writer(parts.grace);
    this.#tables = tables;
    this.#node = parts.node();
    this.#scheduleSweep();
  }

  read(): Promise<readonly FrontendRoute[]> {
    return this.#exclusive(async () => {
      await this.#readAgain();
      const routes = routesOf(this.#tables);
      return this.#isWhole ? routes : joinRoutes(routes, await this.#parts.readFormer());
    });
  }

  apply(changes: RouteChanges): Promise<ApplyReport> {
    return this.#exclusive(() => this.#program(changes));
  }

  /** Looks first, so that it also repairs what somebody else changed. */
  replace(routes: Routes): Promise<ApplyReport> {
    return this.#exclusive(async () => {
      const { attachment } = this.#parts;
      if (attachment.verify() !== undefined) attachment.repair();
      await this.#readAgain();
      this.#node = this.#parts.node();
      this.#left.clear();
      const changes = new Map<string, FrontendRoute | undefined>(routes);
      for (const entry of this.#tables.services.keys()) {
        const id = frontendOfEntry(entry);
        if (!routes.has(id)) changes.set(id, undefined);
      }
      for (const id of this.#parts.packets?.readRanges() ?? []) if (!routes.has(id)) changes.set(id, undefined);
      const report = await this.#program(changes);
      if (!this.#isWhole) this.#parts.takeOver();
      this.#isWhole = true;
      this.#syncPackets();
      return report;
    });
  }

  verify(): Promise<string | undefined> {
    return this.#exclusive(async () => {
      const { attachment, maps, packets } = this.#parts;
      const detached = attachment.verify();
      if (detached !== undefined) return detached;
      if (!(await areAsKnown(this.#tables, maps))) {
        const difference = stateDifference(this.#tables, await recoverTables(maps));
        if (difference !== undefined) return difference;
      }
      return this.#isWhole ? packets?.verify() : undefined;
    });
  }

  foreign(): readonly string[] {
    const { foreign, packets } = this.#parts;
    return [...foreign(), ...((this.#isWhole && packets?.foreign()) || [])];
  }

  async refresh(): Promise<boolean> {
    const before = this.#node;
    const now = this.#parts.node();
    this.#node = now;
    if (this.#isWhole) await this.#exclusive(async () => this.#syncPackets());
    if (now.addresses === before.addresses) return false;
    const isMoved = (address: IpAddress): boolean => now.addresses.has(address) !== before.addresses.has(address);
    const served = [...this.#tables.services.values()].flatMap(({ frontend }) => frontend?.address ?? []);
    return [...this.#left, ...served].some(isMoved);
  }

  get about(): string {
    const { packets } = this.#parts;
    return packets ? `packets as well, at ${packets.hooks}` : 'sockets alone';
  }

  get fill(): ReadonlyMap<string, number> {
    const { packets } = this.#parts;
    return packets ? new Map([...this.#tables.fill, ...packets.fill]) : this.#tables.fill;
  }

  async close(): Promise<void> {
    await this.#end();
    await this.#parts.packets?.close();
    this.#parts.release();
  }

  async destroy(): Promise<void> {
    await this.#end();
    await this.#parts.packets?.close();
    this.#parts.release();
    this.#parts.remove();
  }

  async #program(changes: RouteChanges): Promise<ApplyReport> {
    const first = await this.#carryOut(changes);
    if (first.failures.length === 0 || !this.#tables.hasGarbage) return first;
    // There may be room once what is of no use any more is gone.
    await this.#sweepNow();
    const second = await this.#carryOut(changes);
    return { changed: first.changed + second.changed, failures: second.failures };
  }

  async #carryOut(changes: RouteChanges): Promise<ApplyReport> {
    const draft = new PlanDraft(this.#tables);
    const ranges = new Map<string, ReadonlySet<string>>();
    await inSlices(changes, ([id, wanted]) => {
      if (wanted && this.#isOfNode(wanted.frontend)) this.#left.add(wanted.frontend.address);
      const entries = this.#entriesOf(wanted);
      for (const entry of entries) draft.set(entry);
      const guarded = entries.find(({ frontend: { clients } }) => clients?.startsWith('admitted'));
      ranges.set(id, guarded ? rangeKeys(guarded.frontend, guarded.sourceRanges ?? []) : NO_RANGES);
      const kept = new Set(entries.map(({ frontend }) => entryId(frontend)));
      for (const entry of entriesOf(id)) if (!kept.has(entry)) draft.remove(entry);
    });
    const plan = draft.finish();
    this.#parts.packets?.takeOutRanges(ranges);
    const failed = await carryOut(plan.steps, this.#tables, this.#writer);
    this.#parts.packets?.putInRanges(ranges);
    this.#scheduleSweep();
    const failures = plan.changes.flatMap((frontend, change) => {
      const reason = failed.get(change);
      return reason === undefined ? [] : [{ frontend, reason }];
    });
    return { changed: plan.changes.length - failed.size, failures: [...plan.failures, ...failures] };
  }

  /** What stands in the tables for a frontend. */
  #entriesOf(wanted: FrontendRoute | undefined): readonly MapRoute[] {
    if (!wanted || this.#isOfNode(wanted.frontend)) return [];
    const hasPackets = this.#parts.packets !== undefined;
    const { frontend, outside, sourceRanges = [] } = wanted;
    // SCTP has no socket hook, and packets of it are nftables' part; so are NodePorts where packets are.
    if (frontend.protocol === 'SCTP' || (frontend.kind === 'NodePort' && !hasPackets)) return [];
    if (!hasPackets) return [wanted];
    const entry = (clients: MapClients, backends = wanted.backends): MapRoute => ({
      ...wanted,
      ...{ frontend: { ...frontend, clients }, backends },
    });
    // Whom nobody is told of is left to nftables, which refuses whoever may not ask.
    if (sourceRanges.length > 0)
      return [wanted, entry('outside', []), entry(outside ? 'admitted outside' : 'admitted', outside)];
    return outside ? [wanted, entry('outside', outside)] : [wanted];
  }

  /** NodeLocal DNSCache has the cluster IP of the DNS Service, too, and is nearer. */
  #isOfNode({ kind, address }: MapFrontend): boolean {
    return kind === 'ClusterIP' && this.#node.addresses.has(address);
  }

  #syncPackets(): void {
    this.#parts.packets?.sync(this.#node);
    this.#parts.retired.sync();
  }

  async #readAgain(): Promise<void> {
    await this.#parts.grace.wait();
    this.#tables = await recoverTables(this.#parts.maps);
    this.#scheduleSweep();
  }

  #scheduleSweep(): void {
    if (!this.#isOpen || this.#timer || !this.#tables.hasGarbage) return;
    this.#timer = setTimeout(() => {
      this.#sweeping = this.#sweepLater();
    }, this.#parts.sweepDelayMs);
    this.#timer.unref();
  }

  async #sweepLater(): Promise<void> {
    const tables = this.#tables;
    const retiring = tables.beginGrace();
    try {
      await this.#parts.grace.wait();
      await this.#exclusive(async () => {
        if (this.#tables !== tables) return;
        await this.#sweep(retiring);
      });
    } catch (error) {
      tables.resume(retiring);
      if (this.#isOpen) this.#parts.log.warn({ error }, 'Cannot sweep the BPF maps; trying again');
    }
    this.#timer = undefined;
    this.#scheduleSweep();
  }

  /** Within `#exclusive`. */
  async #sweepNow(): Promise<void> {
    const retiring = this.#tables.beginGrace();
    await this.#parts.grace.wait();
    await this.#sweep(retiring);
  }

  async #sweep(retired: Retiring): Promise<void> {
    this.#tables.release(retired);
    await carryOut(planSweep(this.#tables), this.#tables, this.#writer);
    // The backends that only those slots and members named.
    await carryOut(planSweep(this.#tables), this.#tables, this.#writer);
  }

  async #end(): Promise<void> {
    this.#requireOpen();
    this.#isOpen = false;
    clearTimeout(this.#timer);
    await this.#turn;
    await this.#sweeping;
  }

  #requireOpen(): void {
    if (!this.#isOpen) throw new Error('Cannot use the eBPF datapath: expected it to be open: it was closed');
  }

  async #exclusive<T>(body: () => Promise<T>): Promise<T> {
    this.#requireOpen();
    const run = this.#turn.then(body);
    this.#turn = run.catch(() => {});
    return run;
  }
}
