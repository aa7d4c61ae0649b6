/**
 * The packet programs in place: attached at the interfaces that clients and backends are behind, and told what they have to
 * know of the node. All of it is pinned in a directory of its own, and outlives the agent.
 *
 * Interfaces come and go without a word to us: `sync` looks for new ones. Until then what comes in there is nftables'.
 */

import { closeSync, existsSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { NetworkInterfaces } from '../../netlink/links.ts';
import { NO_NODE_FACTS, type NodeFacts } from '../../node-facts.ts';
import { deleteElement, interfaceLinkErrno, keysOf, openPinned, readElement, writeElement } from '../bpf-calls.ts';
import { nameOf } from '../other-programs.ts';
import { ClsactHooks } from './clsact.ts';
import { sweepFlows } from './flow-entry.ts';
import { DIRECTIONS, type Direction, type HookKind, type InterfaceHooks } from './hooks.ts';
import { carriesClients, NODE_MAPS, type NodeMap, nodeEntries } from './node-maps.ts';
import { ACCEPTS, LINK_LAYERS, PinnedPrograms, type PinnedProgramsOptions, SOURCE_RANGES } from './pinned-programs.ts';
import { SourceRanges, type WantedRanges } from './source-ranges.ts';
import { TcxHooks } from './tcx.ts';

export interface PacketPathOptions extends PinnedProgramsOptions {
  /** Undefined: the best that this kernel has. */
  readonly hooks?: HookKind | undefined;
  readonly log: Logger;
}

/** Of the layout of `struct flow` and the maps of the node: with another, flows cannot be taken over. */
export const PACKETS_LAYOUT = 1;

/** Between two looks for flows that are over, in ms; longer where looking takes much, so that it takes 1 % of the time. */
const SWEEP_MS = 10_000;
const SHARE = 100;
/** BPF_TCX_EGRESS. */
const TCX_OUT = 47;

export class PacketPath {
  readonly #options: PacketPathOptions;
  readonly #programs: PinnedPrograms;
  readonly #interfaces = new NetworkInterfaces();
  readonly #ranges = new SourceRanges();
  #hooks: InterfaceHooks | undefined;
  #fill = 0;
  #sweepAt = 0;
  #synced: { readonly facts: NodeFacts; readonly attached: ReadonlySet<number> } = {
    facts: NO_NODE_FACTS,
    attached: new Set(),
  };

  constructor(options: PacketPathOptions) {
    this.#options = options;
    this.#programs = new PinnedPrograms(options);
  }

  /** Loads what is missing. Throws a sentence when this kernel does not take it. */
  prepare(): void {
    this.#programs.ensure();
  }

  /** What the kernel calls the hooks. */
  get hooks(): HookKind {
    return this.#hooksHere().name;
  }

  /** Loads what is missing, attaches it everywhere it belongs, and tells it what there is to know. Safe to repeat. */
  sync(facts: NodeFacts): void {
    this.#programs.ensure();
    this.#programs.takeOverFlows(false);
    const attached = this.#attach(facts);
    this.#programs.takeOverFlows(true);
    this.#writeNode(facts, attached);
    this.#synced = { facts, attached };
    this.#sweepNowAndThen();
    setAccepts(this.#options.directory, true);
  }

  /** The frontends that have source ranges in the kernel, as it is now. */
  readRanges(): Iterable<string> {
    this.#programs.ensure();
    this.#ranges.read(this.#programs.map(SOURCE_RANGES));
    return this.#ranges.ids;
  }

  /** Before the entries of these frontends are changed. */
  takeOutRanges(wanted: WantedRanges): void {
    this.#ranges.takeOut(this.#programs.map(SOURCE_RANGES), wanted);
  }

  /** After that. */
  putInRanges(wanted: WantedRanges): void {
    try {
      this.#ranges.putIn(this.#programs.map(SOURCE_RANGES), wanted);
    } catch (error) {
      this.#options.log.warn(
        { error },
        'Not all source ranges fit into eBPF: clients from the others are left to nftables',
      );
    }
  }

  /** What is not as it was after `sync`, in a few words: interfaces that came later are not missed. */
  verify(): string | undefined {
    const missing = this.#programs.verify();
    if (missing !== undefined) return missing;
    const { facts, attached } = this.#synced;
    const places = this.#places(facts).filter(({ index }) => attached.has(index));
    const present = this.#hooksHere().programs();
    for (const { index, name, layer } of places) {
      for (const direction of DIRECTIONS) {
        const id = present.get(`${index} ${direction}`);
        if (id === undefined) return `nothing is attached at ${name}, ${direction}`;
        if (id !== this.#programs.program(`tbl_${layer}_${direction}`).id)
          return `another program is attached at ${name}, ${direction}`;
      }
    }
    const wanted = nodeEntries(facts, attached);
    const changed = NODE_MAP_NAMES.find((name) => !isSameEntries(this.#entriesOf(name), wanted[name]));
    if (changed !== undefined) return `map "${changed}" is not as it was`;
    if (!this.#ranges.isAsKnown(this.#programs.map(SOURCE_RANGES))) return 'source ranges are not as they were';
    return readElement(this.#programs.map(ACCEPTS), Buffer.alloc(4), 4)?.readUInt32LE() === 1
      ? undefined
      : 'packets begin no flows';
  }

  /** Programs of others that run before ours at interfaces. */
  foreign(): readonly string[] {
    const { facts, attached } = this.#synced;
    return this.#places(facts)
      .filter(({ index }) => attached.has(index))
      .flatMap(({ index, name, layer }) =>
        DIRECTIONS.flatMap((direction) => {
          const { id } = this.#programs.program(`tbl_${layer}_${direction}`);
          const before = this.#hooksHere().before(index, direction, id);
          return before.map((each) => `${name}, ${direction}: ${nameOf(each)}`);
        }),
      );
  }

  /** Takes it out of the kernel. */
  remove(): void {
    removePacketPath(this.#options.directory);
  }

  async close(): Promise<void> {
    this.#programs.close();
    await this.#hooks?.close();
    await this.#interfaces.close();
  }

  /** The programs forget most of what ended themselves; whoever vanished without a word is for us. */
  #sweepNowAndThen(): void {
    if (performance.now() < this.#sweepAt) return;
    const begun = performance.now();
    const count = sweepFlows(this.#programs.map('streams'));
    this.#fill = count / this.#options.flows;
    const took = performance.now() - begun;
    this.#sweepAt = performance.now() + Math.max(SWEEP_MS, took * SHARE);
  }

  /** The share of the entries that is taken: of flows of streams when last looked at. */
  get fill(): Iterable<readonly [name: string, share: number]> {
    return [
      ['streams', this.#fill],
      ['source_ranges', this.#ranges.fill],
    ];
  }

  /** Links, where this kernel has them. */
  #hooksHere(): InterfaceHooks {
    const { directory, hooks = hasTcx(this.#programs.program('tbl_bare_out').fd) ? 'tcx' : 'clsact' } = this.#options;
    this.#hooks ??= hooks === 'tcx' ? new TcxHooks(directory) : new ClsactHooks();
    return this.#hooks;
  }

  #places(facts: NodeFacts) {
    return this.#interfaces
      .read()
      .filter((link) => carriesClients(link, facts))
      .map(({ index, name, isEthernet }) => ({ index, name, layer: LINK_LAYERS[isEthernet ? 0 : 1] }));
  }

  /** Returns the indices of the interfaces where both directions are attached. */
  #attach(facts: NodeFacts): ReadonlySet<number> {
    const present = this.#hooksHere().programs();
    const attached = new Set<number>();
    for (const { index, name, layer } of this.#places(facts)) {
      try {
        for (const direction of DIRECTIONS) this.#attachOne(present, index, direction, `tbl_${layer}_${direction}`);
        attached.add(index);
      } catch (error) {
        this.#options.log.warn({ error, interface: name }, 'Cannot see packets at an interface; nftables does');
      }
    }
    return attached;
  }

  #attachOne(present: ReadonlyMap<string, number>, index: number, direction: Direction, name: string): void {
    const { fd, id } = this.#programs.program(name);
    if (present.get(`${index} ${direction}`) !== id) this.#hooksHere().attach(index, direction, fd);
  }

  #writeNode(facts: NodeFacts, attached: ReadonlySet<number>): void {
    const wanted = nodeEntries(facts, attached);
    for (const name of NODE_MAP_NAMES) {
      const map = this.#programs.map(name);
      const present = this.#entriesOf(name);
      for (const [key, value] of wanted[name])
        if (present.get(key) !== value) writeElement(map, Buffer.from(key, 'hex'), Buffer.from(value, 'hex'));
      for (const key of present.keys()) if (!wanted[name].has(key)) deleteElement(map, Buffer.from(key, 'hex'));
    }
  }

  /** Value by key, both as hex. */
  #entriesOf(name: NodeMap): ReadonlyMap<string, string> {
    const map = this.#programs.map(name);
    const { keySize, valueSize } = NODE_MAPS[name];
    const entries = keysOf(map, keySize).map((key): [string, string] => [
      key.toString('hex'),
      readElement(map, key, valueSize)?.toString('hex') ?? '',
    ]);
    return new Map(entries);
  }
}

const NODE_MAP_NAMES = Object.keys(NODE_MAPS) as NodeMap[];

const isSameEntries = (a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean =>
  a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);

/** Tried at an interface that there cannot be: who knows such links says so. */
const hasTcx = (program: number): boolean =>
  interfaceLinkErrno(program, 2 ** 31 - 1, TCX_OUT) === constants.errno.ENODEV;

/** Whether flows may begin; those that are known go on. */
export function setAccepts(directory: string, accepts: boolean): void {
  const map = openPinned(`${directory}/${ACCEPTS}`);
  if (map === undefined) return;
  const value = Buffer.alloc(4);
  value.writeUInt32LE(Number(accepts));
  writeElement(map, Buffer.alloc(4), value);
  closeSync(map);
}

/** Takes out of the kernel what is pinned there, and what is attached in this network namespace without pins. */
export function removePacketPath(directory: string): void {
  const filters = new ClsactHooks();
  filters.detachAll();
  void filters.close();
  if (!existsSync(directory)) return;
  new TcxHooks(directory).detachAll();
  for (const name of readdirSync(directory)) unlinkSync(`${directory}/${name}`);
  rmdirSync(directory);
}
