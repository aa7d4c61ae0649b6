/**
 * The packet programs and their maps, loaded on the tables of services and pinned: whoever comes next adopts what fits, and
 * takes over what is known of flows from what does not.
 */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, readFileSync, renameSync, unlinkSync } from 'node:fs';
import { openPinned, programId } from '../bpf-calls.ts';
import { TABLE_NAMES } from '../layout.ts';
import { type LoadedObject, loadObject } from '../libbpf.ts';
import { type IdOf, mapId, putPin } from '../pins.ts';
import { DIGEST, readDigest, writeDigest } from '../programs.ts';
import { copyFlows, FLOW_MAP_NAMES, FLOW_MAPS } from './flow-entry.ts';
import { DIRECTIONS } from './hooks.ts';
import { NODE_MAPS } from './node-maps.ts';

export interface PinnedProgramsOptions {
  /** Of the pins; on a bpffs. */
  readonly directory: string;
  /** Where the tables of services are pinned. */
  readonly tables: string;
  readonly objectPath: string;
  /** How many flows of streams are known at a time, four of them to a connection at most, and half as many of datagrams. */
  readonly flows: number;
}

export const LINK_LAYERS = ['ether', 'bare'] as const;
export type LinkLayer = (typeof LINK_LAYERS)[number];

const PROGRAMS = LINK_LAYERS.flatMap((layer) => DIRECTIONS.map((direction) => `tbl_${layer}_${direction}`));
const SHARED_TABLES = [...TABLE_NAMES, 'affinity'];
/** The pin of a map of flows of an earlier size, while they are taken over. */
const former = (name: string): string => `${name}_former`;
/** The map that says whether flows may begin. */
export const ACCEPTS = 'accepts';
/** The map of `source-ranges.ts`. */
export const SOURCE_RANGES = 'source_ranges';
const OWN_MAPS: readonly string[] = [
  ...FLOW_MAP_NAMES,
  ...['closed_streams', 'reset_streams', 'fragments', ACCEPTS, SOURCE_RANGES],
  ...Object.keys(NODE_MAPS),
];
/** Ports that a client's packets may leave with: below those that sockets are given. */
const FIRST_PORT = 1_024;
const PORT_RANGE = '/proc/sys/net/ipv4/ip_local_port_range';

interface Held {
  readonly fd: number;
  readonly id: number;
}

export class PinnedPrograms {
  readonly #options: PinnedProgramsOptions;
  readonly #programs = new Map<string, Held>();
  readonly #maps = new Map<string, Held>();

  constructor(options: PinnedProgramsOptions) {
    this.#options = options;
  }

  /** Adopts what is pinned if it is this object on these tables, else loads it. What somebody unpinned is put back. */
  ensure(): void {
    const { directory } = this.#options;
    mkdirSync(directory, { recursive: true });
    const pathOf = (name: string): string => `${directory}/${name}`;
    for (const [name, { fd }] of this.#maps) putPin(pathOf(name), fd, mapId);
    for (const [name, { fd }] of this.#programs) putPin(pathOf(name), fd, programId);
    if (this.#programs.size > 0 && existsSync(pathOf(DIGEST))) return;
    const settings = settingsOf();
    const digest = this.#digest(settings);
    const isCurrent = readDigest(directory)?.equals(digest) === true && this.#missing() === undefined;
    if (!isCurrent) this.#load(settings);
    this.#open();
    if (!isCurrent) writeDigest(directory, digest);
  }

  program(name: string): Held {
    return heldIn(this.#programs, name);
  }

  map(name: string): number {
    return heldIn(this.#maps, name).fd;
  }

  /** What is not pinned as it was, in a few words. */
  verify(): string | undefined {
    const missing = this.#missing();
    return missing === undefined ? undefined : `${this.#options.directory}/${missing} is not pinned`;
  }

  /** What is known of flows in a map of another size; again once no program writes to that any more. */
  takeOverFlows(isLast: boolean): void {
    for (const name of FLOW_MAP_NAMES) {
      const path = `${this.#options.directory}/${former(name)}`;
      const from = openPinned(path);
      if (from === undefined) continue;
      copyFlows(from, this.map(name));
      closeSync(from);
      if (isLast) unlinkSync(path);
    }
  }

  close(): void {
    for (const { fd } of [...this.#programs.values(), ...this.#maps.values()]) closeSync(fd);
    this.#programs.clear();
    this.#maps.clear();
  }

  #missing(): string | undefined {
    return [...PROGRAMS, ...OWN_MAPS, DIGEST].find((name) => !existsSync(`${this.#options.directory}/${name}`));
  }

  #load(settings: Buffer): void {
    const { directory, tables, objectPath, flows } = this.#options;
    const existing = new Map<string, number>();
    const inherited = new Map<string, number>();
    const openInto = (maps: Map<string, number>, path: string, name: string): void => {
      const fd = openPinned(`${path}/${name}`);
      if (fd !== undefined) maps.set(name, fd);
    };
    try {
      for (const name of SHARED_TABLES) openInto(existing, tables, name);
      for (const name of OWN_MAPS) openInto(inherited, directory, name);
      const sizes = new Map(FLOW_MAP_NAMES.map((name) => [name, Math.ceil(flows * FLOW_MAPS[name])]));
      const object = loadObject({ path: objectPath, sizes, existing, inherited, constants: settings });
      try {
        this.#pin(object, inherited);
      } finally {
        object.close();
      }
    } finally {
      for (const fd of [...existing.values(), ...inherited.values()]) closeSync(fd);
    }
  }

  #pin(object: LoadedObject, present: ReadonlyMap<string, number>): void {
    const pathOf = (name: string): string => `${this.#options.directory}/${name}`;
    for (const name of FLOW_MAP_NAMES) {
      const [before, now] = [present.get(name), object.map(name)];
      const isOther = before !== undefined && now !== undefined && mapId(before) !== mapId(now);
      if (isOther && !existsSync(pathOf(former(name)))) renameSync(pathOf(name), pathOf(former(name)));
    }
    for (const name of OWN_MAPS) putPin(pathOf(name), demandPart(name, object.map(name)), mapId);
    for (const name of PROGRAMS) putPin(pathOf(name), demandPart(name, object.program(name)), programId);
  }

  #open(): void {
    const { directory } = this.#options;
    this.close();
    const hold = (held: Map<string, Held>, name: string, idOf: IdOf): void => {
      const fd = demandPin(`${directory}/${name}`);
      held.set(name, { fd, id: idOf(fd) });
    };
    for (const name of PROGRAMS) hold(this.#programs, name, programId);
    for (const name of OWN_MAPS) hold(this.#maps, name, mapId);
  }

  /** Of the object, its settings and the tables that it is loaded on. */
  #digest(settings: Buffer): Buffer {
    const { objectPath, tables, flows } = this.#options;
    const ids = SHARED_TABLES.map((name) => {
      const fd = demandPin(`${tables}/${name}`);
      const id = mapId(fd);
      closeSync(fd);
      return id;
    });
    return createHash('sha256')
      .update(readFileSync(objectPath))
      .update(settings)
      .update(`${ids.join(' ')} ${flows}`)
      .digest();
  }
}

function heldIn(all: ReadonlyMap<string, Held>, name: string): Held {
  const held = all.get(name);
  if (held === undefined) throw new Error(`Cannot use the packet programs: ${name} is not loaded`);
  return held;
}

/** `settings` of bpf/packet-lb.bpf.c. */
function settingsOf(): Buffer {
  const settings = Buffer.alloc(8);
  const first = Number(readFileSync(PORT_RANGE, 'utf8').split('\t')[0]);
  settings.writeUInt32LE(FIRST_PORT, 0);
  settings.writeUInt32LE(Math.max(first, 2 * FIRST_PORT) - FIRST_PORT, 4);
  return settings;
}

function demandPart(name: string, fd: number | undefined): number {
  if (fd === undefined) throw new Error(`Cannot use the packet programs: the BPF object has no ${name}`);
  return fd;
}

function demandPin(path: string): number {
  const fd = openPinned(path);
  if (fd === undefined) throw new Error(`Cannot use the packet programs: ${path} is not pinned`);
  return fd;
}
