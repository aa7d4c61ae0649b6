/**
 * Opens the datapath that was asked for, or the best that this machine can have, and says which and why. `ebpf` means
 * socket hooks, with nftables for the packets that these do not see; `nftables` means packets only.
 *
 * The two halves hold the same Services and are programmed each by a loop of its own: nftables takes seconds to load a
 * large table, and sockets must not wait for that.
 */
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { Datapath } from './datapath.ts';
import type { MapSizes } from './ebpf/layout.ts';
import {
  hasEbpfDatapath,
  openEbpfDatapath,
  packetDirectoryOf,
  readPinnedRoutes,
  removeSocketPrograms,
} from './ebpf/open.ts';
import { RetiredPackets } from './ebpf/packets/retired.ts';
import { networkCookie } from './ebpf/syscall.ts';
import { joinRoutes } from './join-routes.ts';
import { openNftablesDatapath } from './nftables/open.ts';
import type { NodeFacts } from './node-facts.ts';
import { SupersedingDatapath } from './superseding.ts';

export interface OpenDatapathOptions {
  readonly choice: 'auto' | 'ebpf' | 'nftables';
  /** Undefined: the root of the cgroup2 hierarchy, wherever it is mounted. */
  readonly cgroupRoot?: string | undefined;
  /** The bpffs directory for pinned maps and links. */
  readonly pinDir: string;
  /** Entries of BPF maps, where not the default. */
  readonly mapSizes?: Partial<MapSizes> | undefined;
  /** Whose sockets are balanced; `host`: those in this process' network namespace. Packets of the others are. */
  readonly socketClients?: SocketClients | undefined;
  /** By what packets are balanced, beside nftables, which has what eBPF leaves. */
  readonly packets?: PacketChoice | undefined;
  readonly nftTable?: string | undefined;
  /** Asked for at each change, and now and then. */
  readonly node?: (() => NodeFacts) | undefined;
  readonly log: Logger;
}

export interface OpenedDatapath {
  /** `ebpf+nftables`, `ebpf` or `nftables`. */
  readonly name: string;
  /** Why it is this one, in one sentence. */
  readonly reason: string;
  /** Sockets first. */
  readonly halves: readonly [Datapath, ...Datapath[]];
}

export type SocketClients = 'all' | 'host';
/** `auto`: eBPF where the kernel takes the programs. */
export type PacketChoice = 'auto' | 'ebpf' | 'nftables';

/** How each half is opened; tests give their own. */
export interface Openers {
  readonly sockets: (options: OpenDatapathOptions, hasPackets: boolean) => Promise<Result<Datapath>>;
  readonly packets: (options: OpenDatapathOptions) => Promise<Result<Datapath>>;
}

/** Throws one sentence when the choice cannot be had. */
export async function openDatapath(
  options: OpenDatapathOptions,
  openers: Openers = KERNEL_OPENERS,
): Promise<OpenedDatapath> {
  const { halves, reason } = await open(options, openers);
  const name = halves.map((half) => half.name).join('+');
  options.log.info({ datapath: name, choice: options.choice, reason }, 'Datapath opened');
  return { name, reason, halves };
}

/**
 * What the kernel serves. The second half is asked only while it is not enough, since listing nftables is slow: it also
 * serves what sockets do not, and what an earlier agent was killed before giving to the first.
 */
export async function readDatapath(
  { halves }: OpenedDatapath,
  isEnough: (routes: readonly FrontendRoute[]) => boolean,
): Promise<readonly FrontendRoute[]> {
  let routes: readonly FrontendRoute[] = [];
  for (const half of halves) {
    if (routes.length > 0 && isEnough(routes)) break;
    routes = joinRoutes(routes, await half.read());
  }
  return routes;
}

type Opened = Pick<OpenedDatapath, 'halves' | 'reason'>;

async function open(options: OpenDatapathOptions, openers: Openers): Promise<Opened> {
  const { choice, log } = options;
  if (choice === 'nftables') {
    const packets = await openers.packets(options);
    if (!packets.ok) throw new Error(`Cannot use the nftables datapath: ${packets.error}`);
    return { halves: [takeOver(packets.value, options)], reason: 'nftables was asked for' };
  }
  const packets = await openers.packets(options);
  const sockets = await openers.sockets(options, packets.ok);
  if (!sockets.ok && choice === 'ebpf') {
    if (packets.ok) await packets.value.close();
    throw new Error(`Cannot use the eBPF datapath: ${sockets.error}`);
  }
  if (!sockets.ok) {
    if (!packets.ok) throw new Error(`Cannot use any datapath: eBPF: ${sockets.error}; nftables: ${packets.error}`);
    log.warn({ reason: sockets.error }, 'Socket-level load balancing is not possible here');
    return { halves: [takeOver(packets.value, options)], reason: `eBPF is not possible: ${sockets.error}` };
  }
  const { about } = sockets.value;
  const why = `${choice === 'ebpf' ? 'eBPF was asked for' : 'eBPF works on this machine'}${about ? ` (${about})` : ''}`;
  if (packets.ok) return { halves: [sockets.value, packets.value], reason: why };
  log.warn({ reason: packets.error }, 'Only sockets are balanced: NodePorts and packets from outside are not');
  return { halves: [sockets.value], reason: `${why}; nftables is not possible: ${packets.error}` };
}

/** From the socket hooks of an earlier agent, if it left any. */
function takeOver(packets: Datapath, { pinDir, log }: OpenDatapathOptions): Datapath {
  if (!hasEbpfDatapath(pinDir)) return packets;
  const read = () => readPinnedRoutes(pinDir);
  const retired = new RetiredPackets(packetDirectoryOf(pinDir), log);
  const remove = () => removeSocketPrograms(pinDir);
  return new SupersedingDatapath(packets, { name: 'ebpf', read, remove, settle: () => retired.sync() }, log);
}

const PACKETS_OF = { auto: 'auto', ebpf: 'yes', nftables: 'no' } as const;

const KERNEL_OPENERS: Openers = {
  sockets: async (
    { cgroupRoot, pinDir, mapSizes: sizes, socketClients, packets: packetChoice = 'nftables', node, log },
    hasPackets,
  ) => {
    try {
      const onlyNetwork = socketClients === 'host' ? networkCookie() : undefined;
      const packets = PACKETS_OF[packetChoice];
      const options = { cgroupRoot, pinDir, sizes, onlyNetwork, hasPackets, packets, node };
      return ok(await openEbpfDatapath({ ...options, log: log.child({ datapath: 'ebpf' }) }));
    } catch (error) {
      return fail(withoutPrefix(error instanceof Error ? error.message : String(error)));
    }
  },
  packets: ({ nftTable = 'tombolo', node, log }) =>
    openNftablesDatapath({ table: nftTable, node, log: log.child({ datapath: 'nftables' }) }),
};

/** Ours says what cannot be done already. */
const withoutPrefix = (message: string): string => message.replace(/^Cannot open the eBPF datapath: /, '');
