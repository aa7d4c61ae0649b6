/**
 * Programs at network interfaces by filters of a clsact queueing discipline, as every kernel has them (linux/rtnetlink.h,
 * linux/pkt_sched.h, linux/pkt_cls.h). They stay with the interface. Ours are known by their handle and their name; those of
 * others, and the discipline, which they may share, are left alone.
 */
import { getSystemErrorName } from 'node:util';
import { NetworkInterfaces } from '../../netlink/links.ts';
import { ACK, attribute, attributeOf, CREATE, DUMP, hostWord, message, nested } from '../../netlink/messages.ts';
import { NETLINK_ROUTE, NetlinkError, NetlinkSocket } from '../../netlink/socket.ts';
import { DIRECTIONS, type Direction, type InterfaceHooks } from './hooks.ts';

const NEW_QDISC = 36;
const NEW_FILTER = 44;
const DELETE_FILTER = 45;
const GET_FILTER = 46;
const EXCLUSIVE = 0x200;
const REPLACE = 0x100;

const KIND = 1;
const OPTIONS = 2;
const BPF_FD = 6;
const BPF_NAME = 7;
const BPF_FLAGS = 8;
const BPF_ID = 11;
const DIRECT_ACTION = 1;

const CLSACT = 0xffff_fff1;
const CLSACT_HANDLE = 0xffff_0000;
const PARENTS: Readonly<Record<Direction, number>> = { in: 0xffff_fff2, out: 0xffff_fff3 };
/** Before the filters of others: what they see, and do, is then about the backend. */
const PRIORITY = 1;
/** ETH_P_ALL in network order. */
const ALL_PROTOCOLS = 0x0300;
/** "tomb": others number theirs from 1. */
const PACKETS: FilterIdentity = { handle: 0x746f_6d62, name: 'tombolo' };
const HEADER = 20;

/** By which filters are known as ours, together. */
export interface FilterIdentity {
  readonly handle: number;
  readonly name: string;
}

/** The filters of one identity, one for each interface and direction. */
export class ClsactFilters {
  readonly #identity: FilterIdentity;
  readonly #socket = new NetlinkSocket(NETLINK_ROUTE);

  constructor(identity: FilterIdentity) {
    this.#identity = identity;
  }

  attach(index: number, direction: Direction, program: number): void {
    const discipline = trafficMessage(NEW_QDISC, CREATE | EXCLUSIVE | ACK, index, {
      handle: CLSACT_HANDLE,
      parent: CLSACT,
      attributes: [attribute(KIND, 'clsact')],
    });
    try {
      this.#socket.askNow(discipline);
    } catch (error) {
      if (!(error instanceof NetlinkError && error.code === 'EEXIST')) throw error;
    }
    const options = nested(
      OPTIONS,
      attribute(BPF_FD, hostWord(program)),
      attribute(BPF_NAME, this.#identity.name),
      attribute(BPF_FLAGS, hostWord(DIRECT_ACTION)),
    );
    this.#socket.askNow(
      this.#message(NEW_FILTER, CREATE | REPLACE | ACK, index, direction, [attribute(KIND, 'bpf'), options]),
    );
  }

  detach(index: number, direction: Direction): void {
    try {
      this.#socket.askNow(this.#message(DELETE_FILTER, ACK, index, direction, []));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  /** The id of the program; undefined where there is none. */
  programAt(index: number, direction: Direction): number | undefined {
    let id: number | undefined;
    const request = trafficMessage(GET_FILTER, DUMP, index, { handle: 0, parent: PARENTS[direction] });
    try {
      this.#socket.askNow(request, ({ body }) => {
        const attributes = body.subarray(HEADER);
        const options = attributeOf(attributes, OPTIONS);
        if (body.readUInt32LE(8) !== this.#identity.handle || options === undefined) return;
        if (attributeOf(options, BPF_NAME)?.toString('latin1') === `${this.#identity.name}\0`)
          id = attributeOf(options, BPF_ID)?.readUInt32LE();
      });
    } catch (error) {
      if (!isGone(error)) throw error;
    }
    return id;
  }

  /** The ids of the programs there, in the order in which they run. */
  programsAt(index: number, direction: Direction): readonly number[] {
    const ids: number[] = [];
    const request = trafficMessage(GET_FILTER, DUMP, index, { handle: 0, parent: PARENTS[direction] });
    try {
      this.#socket.askNow(request, ({ body }) => {
        const options = attributeOf(body.subarray(HEADER), OPTIONS);
        const id = options && attributeOf(options, BPF_ID)?.readUInt32LE();
        if (id !== undefined) ids.push(id);
      });
    } catch (error) {
      if (!isGone(error)) throw error;
    }
    return ids;
  }

  close(): Promise<void> {
    return this.#socket.close();
  }

  #message(type: number, flags: number, index: number, direction: Direction, attributes: readonly Buffer[]): Buffer {
    const info = PRIORITY * 65_536 + ALL_PROTOCOLS;
    const { handle } = this.#identity;
    return trafficMessage(type, flags, index, { handle, parent: PARENTS[direction], info, attributes });
  }
}

export class ClsactHooks implements InterfaceHooks {
  readonly name = 'clsact';
  readonly #filters = new ClsactFilters(PACKETS);
  readonly #interfaces = new NetworkInterfaces();

  attach(index: number, direction: Direction, program: number): void {
    this.#filters.attach(index, direction, program);
  }

  programs(): ReadonlyMap<string, number> {
    const found = new Map<string, number>();
    for (const { index } of this.#interfaces.read()) {
      for (const direction of DIRECTIONS) {
        const id = this.#filters.programAt(index, direction);
        if (id !== undefined) found.set(`${index} ${direction}`, id);
      }
    }
    return found;
  }

  before(index: number, direction: Direction, programId: number): readonly number[] {
    const ids = this.#filters.programsAt(index, direction);
    return ids.slice(0, Math.max(0, ids.indexOf(programId)));
  }

  /** Questions end before answers do. */
  detachAll(): void {
    const places = [...this.programs().keys()].toSorted(
      (a, b) => Number(a.endsWith('out')) - Number(b.endsWith('out')),
    );
    for (const place of places) {
      const [index, direction] = place.split(' ');
      this.#filters.detach(Number(index), direction as Direction);
    }
  }

  async close(): Promise<void> {
    await this.#filters.close();
    await this.#interfaces.close();
  }
}

/** The interface is gone, or never had such a filter or a discipline for it. */
const isGone = (error: unknown): boolean => error instanceof NetlinkError && GONE.has(error.code);
const GONE: ReadonlySet<string> = new Set([19, 22, 2].map((errno) => getSystemErrorName(-errno)));

interface TrafficMessage {
  readonly handle: number;
  readonly parent: number;
  readonly info?: number;
  readonly attributes?: readonly Buffer[];
}

/** With tcmsg, which begins with as many bytes as nfgenmsg has. */
function trafficMessage(type: number, flags: number, index: number, rest: TrafficMessage): Buffer {
  const { handle, parent, info = 0, attributes = [] } = rest;
  const header = Buffer.concat([index, handle, parent, info].map(hostWord));
  return message(type, flags, 0, header, ...attributes);
}
