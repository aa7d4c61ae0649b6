/**
 * The commands of bpf(2) that this datapath uses, with the kernel's numbers and attribute layouts. File descriptors are
 * plain numbers and belong to the caller.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { addressOf, bpf, bpfAsync, type CallResult, errnoName, withoutSignals } from './syscall.ts';

const COMMANDS = {
  createMap: 0,
  lookup: 1,
  update: 2,
  delete: 3,
  nextKey: 4,
  loadProgram: 5,
  pin: 6,
  openPinned: 7,
  runProgram: 10,
  openProgram: 13,
  info: 15,
  query: 16,
  takeOut: 21,
  lookupBatch: 24,
  updateBatch: 26,
  deleteBatch: 27,
  createLink: 28,
  updateLink: 29,
  openLink: 30,
  nextLink: 31,
  detachLink: 34,
} as const;

const BPF_NOEXIST = 1n;
const BPF_F_LOCK = 4n;
const BPF_F_BEFORE = 8;
/** At one hook of one control group: the kernel's own limit. */
const MOST_PROGRAMS = 64;

export const MAP_TYPES = { hash: 1, array: 2, arrayOfMaps: 12 } as const;
export const PROGRAM_TYPES = { socketFilter: 1 } as const;

export interface MapInfo {
  /** The kernel's number for it, for as long as it lives. */
  readonly id: number;
  /** BPF_MAP_TYPE_*. */
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

export interface LinkInfo {
  /** BPF_LINK_TYPE_*. */
  readonly type: number;
  readonly id: number;
  /** The program that it attaches. */
  readonly programId: number;
  /** 0 when the control group is gone. */
  readonly cgroupId: bigint;
  readonly attachType: number;
}

export interface MapShape extends Omit<MapInfo, 'id'> {
  readonly innerMap?: number;
}

/** Throws a sentence that begins with what was tried. */
function demand(result: CallResult, what: string): number {
  if (result.errno !== 0) throw new Error(`Cannot ${what}: ${errnoName(result.errno)}`);
  return result.value;
}

function pathAttributes(path: string, fd: number): { attributes: Buffer; text: Buffer } {
  const text = Buffer.from(`${path}\0`);
  const attributes = Buffer.alloc(16);
  attributes.writeBigUInt64LE(addressOf(text), 0);
  attributes.writeUInt32LE(fd, 8);
  return { attributes, text };
}

export function createMap({ type, keySize, valueSize, maxEntries, innerMap = 0 }: MapShape): number {
  const attributes = Buffer.alloc(72);
  for (const [i, word] of [type, keySize, valueSize, maxEntries, 0, innerMap].entries()) {
    attributes.writeUInt32LE(word, 4 * i);
  }
  return demand(bpf(COMMANDS.createMap, attributes), 'create a map');
}

export function pinObject(fd: number, path: string): void {
  const { attributes, text } = pathAttributes(path, fd);
  demand(bpf(COMMANDS.pin, attributes, text), `pin ${path}`);
}

/** Undefined when nothing is pinned there. */
export function openPinned(path: string): number | undefined {
  const { attributes, text } = pathAttributes(path, 0);
  const result = bpf(COMMANDS.openPinned, attributes, text);
  return result.errno === constants.errno.ENOENT ? undefined : demand(result, `open ${path}`);
}

/** Undefined when the key has no value. */
export function readElement(map: number, key: Buffer, valueSize: number): Buffer | undefined {
  const value = Buffer.alloc(valueSize);
  return bpf(COMMANDS.lookup, elementAttributes(map, key, value), key, value).errno === 0 ? value : undefined;
}

/** For maps of few entries, of every kind. Throws when the kernel refuses. */
export function writeElement(map: number, key: Buffer, value: Buffer): void {
  demand(bpf(COMMANDS.update, elementAttributes(map, key, value), key, value), 'write to a map');
}

/** What is there already stays. */
export function addElement(map: number, key: Buffer, value: Buffer): void {
  const attributes = elementAttributes(map, key, value);
  attributes.writeBigUInt64LE(BPF_NOEXIST, 24);
  const result = bpf(COMMANDS.update, attributes, key, value);
  if (result.errno !== constants.errno.EEXIST) demand(result, 'add to a map');
}

/** What is gone already counts as deleted. */
export function deleteElement(map: number, key: Buffer): void {
  const result = bpf(COMMANDS.delete, elementAttributes(map, key), key);
  if (result.errno !== constants.errno.ENOENT) demand(result, 'delete from a map');
}

/** Deletes an entry and answers what it held at that moment; undefined when it is gone already. */
export function takeOut(map: number, key: Buffer, valueSize: number): Buffer | undefined {
  const value = Buffer.alloc(valueSize);
  const { errno } = bpf(COMMANDS.takeOut, elementAttributes(map, key, value), key, value);
  if (errno === 0) return value;
  if (errno === constants.errno.ENOENT) return undefined;
  // Before Linux 5.14 in two steps.
  const held = readElement(map, key, valueSize);
  deleteElement(map, key);
  return held;
}

/** The keys of a map of few entries; what others write meanwhile may be missed. */
export const keysOf = (map: number, keySize: number): readonly Buffer[] => [...eachKey(map, keySize)];

/** The same, one by one. */
export function* eachKey(map: number, keySize: number): Generator<Buffer> {
  for (let last: Buffer | undefined; ; ) {
    const next = Buffer.alloc(keySize);
    const attributes = elementAttributes(map, last, next);
    if (bpf(COMMANDS.nextKey, attributes, ...(last ? [last] : []), next).errno !== 0) return;
    yield next;
    last = next;
  }
}

function elementAttributes(map: number, key: Buffer | undefined, value?: Buffer): Buffer {
  const attributes = Buffer.alloc(32);
  attributes.writeUInt32LE(map, 0);
  if (key) attributes.writeBigUInt64LE(addressOf(key), 8);
  if (value) attributes.writeBigUInt64LE(addressOf(value), 16);
  return attributes;
}

function infoOf(fd: number, size: number): Buffer {
  const info = Buffer.alloc(size);
  const attributes = Buffer.alloc(16);
  attributes.writeUInt32LE(fd, 0);
  attributes.writeUInt32LE(size, 4);
  attributes.writeBigUInt64LE(addressOf(info), 8);
  demand(bpf(COMMANDS.info, attributes, info), 'ask about a BPF object');
  return info;
}

export function mapInfo(fd: number): MapInfo {
  const info = infoOf(fd, 80);
  return {
    id: info.readUInt32LE(4),
    type: info.readUInt32LE(0),
    keySize: info.readUInt32LE(8),
    valueSize: info.readUInt32LE(12),
    maxEntries: info.readUInt32LE(16),
  };
}

export function linkInfo(fd: number): LinkInfo {
  const info = infoOf(fd, 32);
  return {
    type: info.readUInt32LE(0),
    id: info.readUInt32LE(4),
    programId: info.readUInt32LE(8),
    cgroupId: info.readBigUInt64LE(16),
    attachType: info.readUInt32LE(24),
  };
}

/** Of a link that attaches a program to a network interface (tcx, Linux 6.6). */
export interface InterfaceLinkInfo {
  readonly id: number;
  readonly programId: number;
  /** 0 when the interface is gone. */
  readonly index: number;
  readonly attachType: number;
}

export function interfaceLinkInfo(fd: number): InterfaceLinkInfo {
  const info = infoOf(fd, 32);
  return {
    id: info.readUInt32LE(4),
    programId: info.readUInt32LE(8),
    index: info.readUInt32LE(16),
    attachType: info.readUInt32LE(20),
  };
}

/** The kernel's number for a program. */
export const programId = (fd: number): number => infoOf(fd, 80).readUInt32LE(4);

/** For a program of a few instructions. `what` completes the sentence that is thrown when the kernel refuses it. */
export function loadProgram(type: number, instructions: Buffer, what: string): number {
  const license = Buffer.from('Dual BSD/GPL\0');
  const attributes = Buffer.alloc(72);
  attributes.writeUInt32LE(type, 0);
  attributes.writeUInt32LE(instructions.length / 8, 4);
  attributes.writeBigUInt64LE(addressOf(instructions), 8);
  attributes.writeBigUInt64LE(addressOf(license), 16);
  const result = withoutSignals(() => bpf(COMMANDS.loadProgram, attributes, instructions, license));
  return demand(result, `load a program to ${what}`);
}

/** Runs a program once, on a packet; what it makes of that is written to `output`, which may not be shorter than `length`. */
export function runProgram(
  program: number,
  packet: Buffer,
  output = Buffer.alloc(0),
): { readonly result: number; readonly errno: number; readonly length: number } {
  const attributes = Buffer.alloc(72);
  attributes.writeUInt32LE(program, 0);
  attributes.writeUInt32LE(packet.length, 8);
  attributes.writeUInt32LE(output.length, 12);
  attributes.writeBigUInt64LE(addressOf(packet), 16);
  if (output.length > 0) attributes.writeBigUInt64LE(addressOf(output), 24);
  const { errno } = bpf(COMMANDS.runProgram, attributes, packet, output);
  return { result: attributes.readUInt32LE(4), errno, length: attributes.readUInt32LE(12) };
}

/** In multi mode, as all links: the programs of others stay attached and run too. */
export const createLink = (program: number, cgroup: number, attachType: number): number =>
  demand(linkTo(program, cgroup, attachType), 'attach a program to the control group');

/** To a network interface, before what others attached there. */
export const createInterfaceLink = (program: number, index: number, attachType: number): number =>
  demand(linkTo(program, index, attachType, BPF_F_BEFORE), `attach a program to network interface ${index}`);

/** 0, or the errno with which the kernel refuses: EINVAL where it does not know such links. */
export const interfaceLinkErrno = (program: number, index: number, attachType: number): number => {
  const { errno, value } = linkTo(program, index, attachType);
  if (errno === 0) closeSync(value);
  return errno;
};

function linkTo(program: number, target: number, attachType: number, flags = 0): CallResult {
  const attributes = Buffer.alloc(48);
  for (const [i, word] of [program, target, attachType, flags].entries()) attributes.writeUInt32LE(word, 4 * i);
  return bpf(COMMANDS.createLink, attributes);
}

/** Puts another program in the place of a link's, without a gap. */
export function updateLink(link: number, program: number): void {
  const attributes = Buffer.alloc(16);
  attributes.writeUInt32LE(link, 0);
  attributes.writeUInt32LE(program, 4);
  demand(bpf(COMMANDS.updateLink, attributes), 'replace an attached program');
}

export function detachLink(link: number): void {
  const attributes = Buffer.alloc(16);
  attributes.writeUInt32LE(link, 0);
  const { errno } = bpf(COMMANDS.detachLink, attributes);
  // The control group went before.
  if (errno !== 0 && errno !== constants.errno.ENOLINK) throw new Error(`Cannot detach a program: ${errnoName(errno)}`);
}

/** The ids of the links that there are; `openLink` answers undefined for one that is gone meanwhile. */
export function* linkIds(): Generator<number> {
  const attributes = Buffer.alloc(16);
  for (let id = 0; ; ) {
    attributes.writeUInt32LE(id, 0);
    if (bpf(COMMANDS.nextLink, attributes).errno !== 0) return;
    id = attributes.readUInt32LE(4);
    yield id;
  }
}

function openById(command: number, id: number): number | undefined {
  const attributes = Buffer.alloc(16);
  attributes.writeUInt32LE(id, 0);
  const { errno, value } = bpf(command, attributes);
  return errno === 0 ? value : undefined;
}

export const openLink = (id: number): number | undefined => openById(COMMANDS.openLink, id);

/** As it was loaded under, at most 15 characters; undefined when it is gone. */
export function programName(id: number): string | undefined {
  const fd = openById(COMMANDS.openProgram, id);
  if (fd === undefined) return undefined;
  const name = infoOf(fd, 80).toString('latin1', 64, 80);
  closeSync(fd);
  return name.slice(0, name.indexOf('\0'));
}

/** The ids of the programs at a hook, in the order in which they run. */
export function programsAt(cgroup: number, attachType: number): readonly number[] {
  const ids = Buffer.alloc(4 * MOST_PROGRAMS);
  const attributes = queryAttributes(cgroup, attachType);
  attributes.writeBigUInt64LE(addressOf(ids), 16);
  attributes.writeUInt32LE(MOST_PROGRAMS, 24);
  demand(bpf(COMMANDS.query, attributes, ids), 'ask what is attached');
  return Array.from({ length: attributes.readUInt32LE(24) }, (_, i) => ids.readUInt32LE(4 * i));
}

/** 0, or the errno with which the kernel refuses to tell what is attached: how it says that it lacks the hook. */
export const queryHook = (cgroup: number, attachType: number): number =>
  bpf(COMMANDS.query, queryAttributes(cgroup, attachType)).errno;

function queryAttributes(cgroup: number, attachType: number): Buffer {
  const attributes = Buffer.alloc(64);
  attributes.writeUInt32LE(cgroup, 0);
  attributes.writeUInt32LE(attachType, 4);
  return attributes;
}

export interface BatchResult {
  /** Elements done before the first that failed. */
  readonly done: number;
  readonly errno: number;
}

function batchAttributes(map: number, keys: Buffer, values: Buffer | undefined, count: number): Buffer {
  const attributes = Buffer.alloc(56);
  attributes.writeBigUInt64LE(addressOf(keys), 16);
  if (values) attributes.writeBigUInt64LE(addressOf(values), 24);
  attributes.writeUInt32LE(count, 32);
  attributes.writeUInt32LE(map, 36);
  return attributes;
}

/** `inPlace`: an element that is there is overwritten under its lock, so that whoever holds the lock sees no mixture. */
export function updateBatch(map: number, keys: Buffer, values: Buffer, count: number, inPlace = false): BatchResult {
  const attributes = batchAttributes(map, keys, values, count);
  if (inPlace) attributes.writeBigUInt64LE(BPF_F_LOCK, 40);
  const { errno } = bpf(COMMANDS.updateBatch, attributes, keys, values);
  return { done: errno === 0 ? count : attributes.readUInt32LE(32), errno };
}

export function deleteBatch(map: number, keys: Buffer, count: number): BatchResult {
  const attributes = batchAttributes(map, keys, undefined, count);
  const { errno } = bpf(COMMANDS.deleteBatch, attributes, keys);
  return { done: errno === 0 ? count : attributes.readUInt32LE(32), errno };
}

/** One page of a map. `position` starts empty and is moved on; `last` tells that this page ends the map. */
export function lookupBatch(
  map: number,
  position: Buffer,
  isFirst: boolean,
  keys: Buffer,
  values: Buffer,
  count: number,
) {
  const attributes = batchAttributes(map, keys, values, count);
  if (!isFirst) attributes.writeBigUInt64LE(addressOf(position), 0);
  attributes.writeBigUInt64LE(addressOf(position), 8);
  const { errno } = bpf(COMMANDS.lookupBatch, attributes, position, keys, values);
  if (errno !== 0 && errno !== constants.errno.ENOENT) throw new Error(`Cannot read a map: ${errnoName(errno)}`);
  return { count: attributes.readUInt32LE(32), last: errno !== 0 };
}

/**
 * Writes into a map of maps. The kernel answers once no program runs any more that began before: 10 ms or so, on a
 * thread of its own.
 */
export function updateMapOfMaps(outer: number, innerMap: number): Promise<boolean> {
  const key = Buffer.alloc(4);
  const value = Buffer.alloc(4);
  value.writeUInt32LE(innerMap);
  const attributes = Buffer.alloc(32);
  attributes.writeUInt32LE(outer, 0);
  attributes.writeBigUInt64LE(addressOf(key), 8);
  attributes.writeBigUInt64LE(addressOf(value), 16);
  return bpfAsync(COMMANDS.update, attributes, key, value);
}
