/**
 * The program that answers for addresses (bpf/l2-responder.bpf.c) at the interfaces of this node, and its maps. It ends with
 * the process: answers without an agent behind them are what must not be. What an agent that was killed left at an interface
 * of an older kernel, which has no links there, answers nothing any more, and is replaced.
 */
import { closeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import {
  createInterfaceLink,
  deleteElement,
  interfaceLinkErrno,
  interfaceLinkInfo,
  keysOf,
  lookupBatch,
  readElement,
  writeElement,
} from '../../datapath/ebpf/bpf-calls.ts';
import { getAddress, putAddress } from '../../datapath/ebpf/layout.ts';
import { type LoadedObject, loadObject } from '../../datapath/ebpf/libbpf.ts';
import { ClsactFilters } from '../../datapath/ebpf/packets/clsact.ts';
import { NetworkInterfaces } from '../../datapath/netlink/links.ts';
import { bytesOfMac, type Mac, macOfBytes } from './frames.ts';

const OBJECT = fileURLToPath(new URL('../../../build/l2-responder.bpf.o', import.meta.url));
/** BPF_TCX_INGRESS. */
const TCX_IN = 46;
/** "tombL": not that of the packet programs. */
const FILTER = { handle: 0x746f_6d4c, name: 'tombolo-l2' };

const KEY = 20;
const WATCHED = 8;
const CLAIM_KEY = 28;
const CLAIM = 16;
const CLAIMS_AT_A_TIME = 1_024;
const ONLY = Buffer.alloc(4);

/** An address at an interface, by its index: to be answered for with `mac`, or only watched. */
export interface Watched {
  readonly index: number;
  readonly address: IpAddress;
  /** Of the interface: whoever else claims the address is noted. */
  readonly mac: Mac;
  readonly answers: boolean;
}

/** Somebody said, or let it be seen, that an address is his. */
export interface Claim {
  readonly index: number;
  readonly address: IpAddress;
  readonly mac: Mac;
  /** CLOCK_MONOTONIC, in ms. */
  readonly seenAt: number;
}

export class Responder {
  readonly #object: LoadedObject;
  readonly #program: number;
  readonly #links = new Map<number, number>();
  #filters: ClsactFilters | undefined;
  readonly #isLinked: boolean;
  /** What the kernel holds, by key in hex. */
  readonly #entries = new Map<string, string>();

  /** Throws a sentence where the kernel does not take it. */
  constructor() {
    this.#object = loadObject({ path: OBJECT, sizes: new Map(), existing: new Map() });
    this.#program = this.#part(this.#object.program('tbl_l2'), 'program');
    this.#isLinked = interfaceLinkErrno(this.#program, LOOPBACK, TCX_IN) === 0;
    if (!this.#isLinked) this.#filters = new ClsactFilters(FILTER);
  }

  /** A descriptor, for tests. */
  get program(): number {
    return this.#program;
  }

  /** Where it is attached: at these interfaces and no others. Returns those where the kernel refuses, with the reason. */
  attach(indices: ReadonlySet<number>): ReadonlyMap<number, string> {
    const refused = new Map<number, string>();
    for (const index of this.#links.keys()) if (!indices.has(index) || !this.#isAttached(index)) this.#detach(index);
    for (const index of indices) {
      if (this.#links.has(index)) continue;
      try {
        this.#links.set(index, this.#attachAt(index));
      } catch (error) {
        refused.set(index, error instanceof Error ? error.message : `${error}`);
      }
    }
    return refused;
  }

  /** Exactly these. */
  set(entries: Iterable<Watched>): void {
    const map = this.#map('watched');
    const wanted = new Map<string, string>();
    for (const { index, address, mac, answers } of entries) {
      const value = Buffer.alloc(WATCHED);
      value.set(bytesOfMac(mac), 0);
      value.writeUInt8(answers ? 1 : 0, 6);
      wanted.set(keyOf(index, address).toString('hex'), value.toString('hex'));
    }
    for (const [key, value] of wanted) {
      if (this.#entries.get(key) === value) continue;
      writeElement(map, Buffer.from(key, 'hex'), Buffer.from(value, 'hex'));
      this.#entries.set(key, value);
    }
    for (const key of this.#entries.keys()) {
      if (wanted.has(key)) continue;
      deleteElement(map, Buffer.from(key, 'hex'));
      this.#entries.delete(key);
    }
  }

  /** There are answers for so many ms from now, unless this is called again; with 0 none at all. */
  lease(ms: number): void {
    const until = Buffer.alloc(8);
    if (ms > 0) until.writeBigUInt64LE(process.hrtime.bigint() + BigInt(Math.round(ms * 1e6)));
    writeElement(this.#map('lease'), ONLY, until);
  }

  /** All claims that are still known. */
  claims(): readonly Claim[] {
    const map = this.#map('claims');
    const found: Claim[] = [];
    const [position, keys, values] = [CLAIM_KEY, CLAIM_KEY * CLAIMS_AT_A_TIME, CLAIM * CLAIMS_AT_A_TIME].map((size) =>
      Buffer.alloc(size),
    ) as [Buffer, Buffer, Buffer];
    for (let [isFirst, isLast] = [true, false]; !isLast; isFirst = false) {
      const page = lookupBatch(map, position, isFirst, keys, values, CLAIMS_AT_A_TIME);
      for (let i = 0; i < page.count; i++) {
        found.push({
          index: keys.readUInt32LE(i * CLAIM_KEY),
          address: getAddress(keys, i * CLAIM_KEY + 4),
          mac: macOfBytes(keys.subarray(i * CLAIM_KEY + 20, i * CLAIM_KEY + 26)),
          seenAt: Number(values.readBigUInt64LE(i * CLAIM) / 1_000n) / 1_000,
        });
      }
      isLast = page.last;
    }
    return found;
  }

  /** Questions that were answered. */
  get answered(): number {
    return Number(readElement(this.#map('answered'), ONLY, 8)?.readBigUInt64LE() ?? 0n);
  }

  /** What of it others have changed, in a few words; it is put right. */
  verify(): string | undefined {
    const map = this.#map('watched');
    const held = new Set(keysOf(map, KEY).map((key) => key.toString('hex')));
    const differs = [...this.#entries].filter(
      ([key, value]) => readElement(map, Buffer.from(key, 'hex'), WATCHED)?.toString('hex') !== value,
    );
    const foreign = [...held].filter((key) => !this.#entries.has(key));
    for (const [key, value] of differs) writeElement(map, Buffer.from(key, 'hex'), Buffer.from(value, 'hex'));
    for (const key of foreign) deleteElement(map, Buffer.from(key, 'hex'));
    const count = differs.length + foreign.length;
    return count > 0 ? `${count} entries of map "watched" were not as they were` : undefined;
  }

  async close(): Promise<void> {
    this.lease(0);
    for (const index of [...this.#links.keys()]) this.#detach(index);
    await this.#filters?.close();
    this.#object.close();
  }

  #attachAt(index: number): number {
    if (this.#isLinked) return createInterfaceLink(this.#program, index, TCX_IN);
    this.#filters?.attach(index, 'in', this.#program);
    return -1;
  }

  #isAttached(index: number): boolean {
    const link = this.#links.get(index) ?? -1;
    return link < 0 ? (this.#filters?.programAt(index, 'in') ?? 0) > 0 : interfaceLinkInfo(link).index === index;
  }

  #detach(index: number): void {
    const link = this.#links.get(index) ?? -1;
    this.#links.delete(index);
    if (link >= 0) closeSync(link);
    else this.#filters?.detach(index, 'in');
  }

  #map(name: string): number {
    return this.#part(this.#object.map(name), name);
  }

  #part(fd: number | undefined, name: string): number {
    if (fd === undefined) throw new Error(`Cannot use the ARP and NDP responder: the BPF object has no ${name}`);
    return fd;
  }
}

/** Takes away what an agent that was killed left at interfaces of a kernel without links for them: it answers nothing. */
export async function removeResponder(): Promise<void> {
  const filters = new ClsactFilters(FILTER);
  const interfaces = new NetworkInterfaces();
  try {
    for (const { index } of interfaces.read())
      if (filters.programAt(index, 'in') !== undefined) filters.detach(index, 'in');
  } finally {
    await filters.close();
    await interfaces.close();
  }
}

/** The index that lo has in every network namespace. */
const LOOPBACK = 1;

function keyOf(index: number, address: IpAddress): Buffer {
  const key = Buffer.alloc(KEY);
  key.writeUInt32LE(index, 0);
  putAddress(key, 4, address);
  return key;
}
