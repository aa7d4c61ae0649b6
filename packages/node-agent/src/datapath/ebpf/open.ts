/**
 * Opens the socket-level datapath: finds its place, makes sure of bpffs, programs and maps, and takes over what an
 * earlier agent left there. Throws a sentence when it cannot.
 */
import { closeSync, existsSync, fstatSync, type Stats, statSync } from 'node:fs';
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import { type Logger, silentLogger } from '@tombolo/shared/process/logger.ts';
import { joinRoutes } from '../join-routes.ts';
import { NO_NODE_FACTS, type NodeFacts } from '../node-facts.ts';
import { Attachment } from './attachment.ts';
import { prepareBpffs, releaseBpffs } from './bpffs.ts';
import { EbpfDatapath } from './ebpf-datapath.ts';
import { GracePeriod } from './grace-period.ts';
import type { MapSizes } from './layout.ts';
import {
  layoutDirectories,
  layoutDirectory,
  lockDirectory,
  readableDirectories,
  removeLayout,
  setAside,
} from './layouts.ts';
import { detachFormer, programsBefore } from './other-programs.ts';
import type { HookKind } from './packets/hooks.ts';
import { PACKETS_LAYOUT, PacketPath, removePacketPath } from './packets/packet-path.ts';
import { RetiredPackets } from './packets/retired.ts';
import { openPinnedMaps, type PinnedMaps } from './pinned-maps.ts';
import { PACKET_OBJECT, probeEbpf } from './probe.ts';
import { ensurePrograms, entriesOf, type ProgramOptions } from './programs.ts';
import { recoverTables, routesOf } from './recovery.ts';

/**
 * For 50,000 services with several backends each and two sets at a time; 22 MiB of kernel memory while empty. A connection
 * takes two flows, or four; 33 MiB more.
 */
const DEFAULT_SIZES: MapSizes = {
  services: 131_072,
  slots: 131_072,
  backends: 262_144,
  affinity_ok: 262_144,
  affinity: 65_536,
  flows: 131_072,
};

/** Where the packet programs are pinned. */
export const packetDirectoryOf = (pinDir: string): string => `${pinDir}/packets-v${PACKETS_LAYOUT}`;

/** Where it is pinned which sockets are connected through services. */
export const connectedSocketsPath = (pinDir: string): string => `${layoutDirectory(pinDir, undefined)}/connected`;

const NOTHING_RETIRED = { sync: () => {} };

export interface EbpfOptions {
  /** A directory on bpffs; a bpffs is mounted there when there is none. */
  readonly pinDir: string;
  /** Undefined: the root of the cgroup2 hierarchy, wherever it is mounted. */
  readonly cgroupRoot?: string | undefined;
  /** Undefined: what scripts/build-bpf made. */
  readonly objectPath?: string | undefined;
  /** Undefined: that of this version. */
  readonly layout?: number;
  readonly sizes?: Partial<MapSizes> | undefined;
  /** The cookie of the network namespace whose sockets alone are served; undefined: all. */
  readonly onlyNetwork?: bigint | undefined;
  /**
   * Whether somebody balances packets, the node's own among them: then streams whose program chose their port are left to
   * that, since two of them can lead to one backend.
   */
  readonly hasPackets?: boolean | undefined;
  /** Whether packets are balanced at network interfaces, too; `auto`: where this kernel takes the programs. */
  readonly packets?: 'no' | 'auto' | 'yes';
  /** At which hooks; undefined: the best that this kernel has. */
  readonly packetHooks?: HookKind | undefined;
  /** Asked for at each change, and now and then. */
  readonly node?: (() => NodeFacts) | undefined;
  readonly log?: Logger;
  /** How long what is of no use any more stays at least. */
  readonly sweepDelayMs?: number;
}

export async function openEbpfDatapath(options: EbpfOptions): Promise<EbpfDatapath> {
  const {
    pinDir,
    sizes = {},
    onlyNetwork,
    node = () => NO_NODE_FACTS,
    log = silentLogger,
    sweepDelayMs = 200,
  } = options;
  const probe = probeEbpf(options);
  if (!probe.ok) throw new Error(`Cannot open the eBPF datapath: ${probe.error}`);
  const { cgroupRoot, objectPath } = probe.value;
  const directory = layoutDirectory(pinDir, options.layout);
  const wanted = { ...DEFAULT_SIZES, ...sizes };
  prepareBpffs(directory, pinDir);
  let lock = lockDirectory(directory);
  /** It may have been set aside, or taken away by others. */
  const holdDirectory = (): void => {
    prepareBpffs(directory, pinDir);
    if (isSameFile(statSync(directory), fstatSync(lock))) return;
    closeSync(lock);
    lock = lockDirectory(directory);
  };
  const before = setAside(directory, entriesOf(wanted));
  if (before)
    log.info({ before, wanted }, 'The pinned BPF maps have other sizes; they serve until new ones are filled');
  holdDirectory();
  const former = layoutDirectories(pinDir).filter((other) => other !== directory);
  let maps: PinnedMaps | undefined;
  let grace: GracePeriod | undefined;
  let attachment: Attachment | undefined;
  const release = (): void => {
    attachment?.close();
    maps?.close();
    grace?.close();
    closeSync(lock);
  };
  try {
    const places = { directory, former, objectPath, cgroupPath: cgroupRoot };
    const programs: ProgramOptions = { ...places, sizes: wanted, onlyNetwork, hasPackets: options.hasPackets };
    const outcome = ensurePrograms(programs);
    if (outcome !== 'waiting') attachment = new Attachment(programs);
    const takeOver = (): void => {
      if (!attachment) ensurePrograms(programs, true);
      attachment ??= new Attachment(programs);
      const attached = attachment;
      const links = detachFormer(cgroupRoot, attached.programIds);
      if (links > 0) log.info({ links }, 'Detached programs that an agent left with other pins');
      for (const other of former) removeFormer(other, attached.programIds, log);
    };
    maps = openPinnedMaps(directory);
    if (!maps) throw new Error(`Cannot open the eBPF datapath: a map is missing in ${directory}`);
    grace = new GracePeriod();
    await grace.wait();
    const tables = await recoverTables(maps);
    log.info(
      { outcome, cgroupRoot, directory, services: tables.services.size },
      'Socket-level load balancing is attached',
    );
    const repair = (): void => {
      holdDirectory();
      attachment?.repair();
    };
    const remove = (): void => removeEbpfDatapath(pinDir);
    const foreign = () => programsBefore(cgroupRoot, attachment?.programIds ?? new Set());
    const readFormer = () => readRoutes(readableDirectories(pinDir, options.layout).filter((d) => d !== directory));
    const packets = openPackets(options, log);
    const retired = packets ? NOTHING_RETIRED : new RetiredPackets(packetDirectoryOf(pinDir), log);
    const parts = {
      maps,
      packets,
      retired,
      grace,
      node,
      log,
      sweepDelayMs,
      readFormer,
      takeOver,
      foreign,
      release,
      remove,
    };
    return new EbpfDatapath({ ...parts, attachment: { verify: () => attachment?.verify(), repair } }, tables);
  } catch (error) {
    release();
    throw error;
  }
}

function openPackets(options: EbpfOptions, log: Logger): PacketPath | undefined {
  const { packets = 'no', pinDir, layout, packetHooks, sizes } = options;
  if (packets === 'no') return undefined;
  try {
    return openPacketPath(pinDir, log, { layout, hooks: packetHooks, flows: sizes?.flows });
  } catch (error) {
    if (packets === 'yes') throw error;
    log.warn({ error }, 'Packets cannot be balanced by eBPF here: they are left to nftables');
    return undefined;
  }
}

interface PacketPathChoices {
  readonly layout?: number | undefined;
  readonly hooks?: HookKind | undefined;
  readonly flows?: number | undefined;
}

/** On the tables that are pinned there. Throws a sentence when this kernel does not take the programs. */
export function openPacketPath(pinDir: string, log: Logger, choices: PacketPathChoices = {}): PacketPath {
  const { layout, hooks, flows = DEFAULT_SIZES.flows } = choices;
  const [directory, tables] = [packetDirectoryOf(pinDir), layoutDirectory(pinDir, layout)];
  const path = new PacketPath({ directory, tables, objectPath: PACKET_OBJECT, flows, hooks, log });
  try {
    path.prepare();
    return path;
  } catch (error) {
    void path.close();
    throw error;
  }
}

/** What is pinned below `pinDir`, as far as it is of this layout. Changes nothing. */
export const readPinnedRoutes = (pinDir: string): Promise<readonly FrontendRoute[]> =>
  readRoutes(readableDirectories(pinDir));

/** What the first serves, and what only the others do. */
async function readRoutes(directories: readonly string[]): Promise<readonly FrontendRoute[]> {
  let routes: readonly FrontendRoute[] = [];
  for (const directory of directories) {
    const maps = openPinnedMaps(directory);
    if (!maps) continue;
    try {
      routes = joinRoutes(routes, routesOf(await recoverTables(maps)));
    } finally {
      maps.close();
    }
  }
  return routes;
}

/** Whether an earlier agent left its pins; perhaps of a layout that this one does not read. */
export const hasEbpfDatapath = (pinDir: string): boolean =>
  layoutDirectories(pinDir).length > 0 || existsSync(packetDirectoryOf(pinDir));

/** Takes the programs at the socket hooks out of the kernel: what sockets connected to goes on without them. */
export function removeSocketPrograms(pinDir: string): void {
  for (const directory of layoutDirectories(pinDir)) removeLayout(directory);
}

/** For uninstalling without opening: takes every trace out of the kernel. Throws while another process holds it. */
export function removeEbpfDatapath(pinDir: string): void {
  removePacketPath(packetDirectoryOf(pinDir));
  removeSocketPrograms(pinDir);
  releaseBpffs(pinDir);
}

/** What another process holds goes on, and is that process's to remove. */
function removeFormer(directory: string, own: ReadonlySet<number>, log: Logger): void {
  try {
    removeLayout(directory, own);
    log.info({ directory }, 'Removed what an agent of another version left');
  } catch (error) {
    log.warn({ directory, error }, 'Cannot remove what an agent of another version left');
  }
}

const isSameFile = (a: Stats, b: Stats): boolean => a.ino === b.ino && a.dev === b.dev;
