/**
 * The pinned maps of the agent, open: writes operations into them in batches, and reads them back whole. Knows bytes and
 * file descriptors, not what an operation is good for.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { nextTurn } from '@tombolo/shared/process/slices.ts';
import {
  type BatchResult,
  deleteBatch,
  lookupBatch,
  type MapInfo,
  mapInfo,
  openPinned,
  updateBatch,
} from './bpf-calls.ts';
import type { MapWriter } from './executor.ts';
import type { GracePeriod } from './grace-period.ts';
import {
  putBackend,
  putService,
  putServiceKey,
  putWords,
  TABLE_NAMES,
  TABLES,
  type TableName,
  type TableSizes,
} from './layout.ts';
import { entryCount, type MapOperation } from './operation.ts';
import { partOf } from './parts.ts';
import { SlotWriter } from './slot-writer.ts';
import { errnoName } from './syscall.ts';

const PAGE = 512;

const TABLE_OF = {
  'put-backend': 'backends',
  'put-slots': 'slots',
  'change-slot': 'slots',
  'put-members': 'affinity_ok',
  'put-service': 'services',
  'delete-service': 'services',
  'delete-slots': 'slots',
  'delete-members': 'affinity_ok',
  'delete-backend': 'backends',
} as const satisfies Record<MapOperation['kind'], TableName>;

type Visit = (keys: Buffer, key: number, values: Buffer, value: number) => void;

/** Undefined when one of them is not pinned. */
export function openPinnedMaps(directory: string): PinnedMaps | undefined {
  const [services, slots, backends, affinity_ok] = TABLE_NAMES.map((name) => openPinned(`${directory}/${name}`));
  if (services !== undefined && slots !== undefined && backends !== undefined && affinity_ok !== undefined) {
    return new PinnedMaps({ services, slots, backends, affinity_ok });
  }
  for (const fd of [services, slots, backends, affinity_ok]) if (fd !== undefined) closeSync(fd);
  return undefined;
}

type TableFds = Readonly<Record<TableName, number>>;

/** The kernel would write past the end of our buffers. Of a former layout each slot is a part, which can be read. */
function expectShape(name: TableName, { keySize, valueSize }: MapInfo): void {
  const expected = TABLES[name];
  const isFormer = name === 'slots' && valueSize === 4;
  if (keySize === expected.keySize && (valueSize === expected.valueSize || isFormer)) return;
  throw new Error(
    `Cannot use the pinned map "${name}": expected keys of ${expected.keySize} and values of ${expected.valueSize} bytes: current value is ${keySize} and ${valueSize}`,
  );
}

export class PinnedMaps {
  readonly limits: TableSizes;
  /** How many slots an entry of `slots` has. */
  readonly slotsAPart: number;
  readonly #fds: TableFds;
  #slotWriter: SlotWriter | undefined;

  constructor(fds: TableFds) {
    this.#fds = fds;
    for (const name of TABLE_NAMES) expectShape(name, mapInfo(fds[name]));
    this.slotsAPart = mapInfo(fds.slots).valueSize / 4;
    const entries = (name: TableName): number => mapInfo(fds[name]).maxEntries;
    this.limits = {
      services: entries('services'),
      slots: entries('slots'),
      backends: entries('backends') - 1,
      affinity_ok: entries('affinity_ok'),
    };
  }

  writer(grace: GracePeriod): MapWriter {
    this.#slotWriter ??= new SlotWriter(this.#fds.slots);
    return { write: (operations) => this.#write(operations), grace: () => grace.wait() };
  }

  /** Calls `visit` for each entry (of the first `limit` or so), with the offsets of its key and value in the buffers. */
  async each(name: TableName, visit: Visit, limit = Number.POSITIVE_INFINITY): Promise<void> {
    const { keySize } = TABLES[name];
    const valueSize = name === 'slots' ? 4 * this.slotsAPart : TABLES[name].valueSize;
    const position = Buffer.alloc(Math.max(4, keySize));
    const keys = Buffer.alloc(PAGE * keySize);
    const values = Buffer.alloc(PAGE * valueSize);
    for (let seen = 0, isLast = false; !isLast && seen < limit; ) {
      const page = lookupBatch(this.#fds[name], position, seen === 0, keys, values, PAGE);
      for (let i = 0; i < page.count; i += 1) visit(keys, i * keySize, values, i * valueSize);
      seen += page.count;
      isLast = page.last;
      if (!isLast) await nextTurn();
    }
  }

  close(): void {
    this.#slotWriter?.close();
    for (const name of TABLE_NAMES) closeSync(this.#fds[name]);
  }

  #write(operations: readonly MapOperation[]): { done: number; error: string | undefined } {
    const kind = operations[0]?.kind;
    if (kind === undefined) return { done: 0, error: undefined };
    const name = TABLE_OF[kind];
    // A backend's place in its array is cleared, not deleted.
    const deletes = kind.startsWith('delete') && kind !== 'delete-backend';
    const { done, errno } =
      kind === 'change-slot'
        ? this.#changeSlots(operations)
        : deletes
          ? this.#delete(name, operations)
          : this.#put(name, operations);
    return { done, error: errno === 0 ? undefined : reasonOf(name, errno) };
  }

  #put(name: TableName, operations: readonly MapOperation[]): BatchResult {
    const keys = encode(operations, TABLES[name].keySize, encodeKeys);
    const values = encode(operations, TABLES[name].valueSize, encodeValues);
    return updateBatch(this.#fds[name], keys, values, keys.length / TABLES[name].keySize, name === 'services');
  }

  #changeSlots(operations: readonly MapOperation[]): BatchResult {
    for (const [done, operation] of operations.entries()) {
      if (operation.kind !== 'change-slot') continue;
      const { service, generation, slot, backend } = operation;
      const errno = this.#slotWriter?.write(service, generation, slot, backend) ?? constants.errno.EBADF;
      if (errno !== 0) return { done, errno };
    }
    return { done: operations.length, errno: 0 };
  }

  /** What is gone already counts as deleted. */
  #delete(name: TableName, operations: readonly MapOperation[]): BatchResult {
    const { keySize } = TABLES[name];
    const keys = encode(operations, keySize, encodeKeys);
    const count = keys.length / keySize;
    let done = 0;
    while (done < count) {
      const result = deleteBatch(this.#fds[name], keys.subarray(done * keySize), count - done);
      done += result.done;
      if (result.errno === constants.errno.ENOENT) done += 1;
      else if (result.errno !== 0) return { done, errno: result.errno };
    }
    return { done, errno: 0 };
  }
}

type Encode = (operation: MapOperation, buffer: Buffer, at: number) => void;

/** Each entry is of `size` bytes. */
function encode(operations: readonly MapOperation[], size: number, one: Encode): Buffer {
  const buffer = Buffer.alloc(size * operations.reduce((sum, operation) => sum + entryCount(operation), 0));
  let at = 0;
  for (const operation of operations) {
    one(operation, buffer, at);
    at += size * entryCount(operation);
  }
  return buffer;
}

function reasonOf(name: TableName, errno: number): string {
  if (errno === constants.errno.E2BIG) return `map "${name}" is full`;
  return `cannot write map "${name}": ${errnoName(errno)}`;
}

function encodeKeys(operation: MapOperation, buffer: Buffer, at: number): void {
  switch (operation.kind) {
    case 'put-service':
    case 'delete-service':
      putServiceKey(buffer, at, operation.frontend);
      return;
    case 'put-slots':
    case 'delete-slots':
      for (let i = 0; i < entryCount(operation); i += 1)
        putWords(buffer, at + 12 * i, operation.service, operation.generation, partOf(operation.first) + i);
      return;
    case 'put-members':
    case 'delete-members':
      for (const [i, backend] of operation.backends.entries())
        putWords(buffer, at + 12 * i, operation.service, operation.generation, backend);
      return;
    case 'put-backend':
    case 'delete-backend':
      putWords(buffer, at, operation.id);
      return;
    default:
      return;
  }
}

function encodeValues(operation: MapOperation, buffer: Buffer, at: number): void {
  switch (operation.kind) {
    case 'put-service':
      putService(buffer, at, operation);
      return;
    case 'put-slots':
      putWords(buffer, at, ...operation.backends);
      return;
    case 'put-backend':
      putBackend(buffer, at, operation.backend);
      return;
    case 'put-members':
      buffer.fill(1, at, at + operation.backends.length);
      return;
    default:
      return;
  }
}
