/**
 * Changes slots where they are. An update through bpf(2) would put a new element in place of the old one, whose memory
 * goes to the map's next key at once (since Linux 6.1), under the eyes of a reader who has found it and not yet read it:
 * he could get another service's backend. So a program in the kernel, which nothing but this runs, writes four bytes of
 * the value: who reads them sees the old ones or the new.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { loadProgram, PROGRAM_TYPES, runProgram } from './bpf-calls.ts';
import { putWords } from './layout.ts';
import { partOf, SLOTS_A_PART } from './parts.ts';

/** Precedes the data of a packet, which is what this kind of program is given. */
const ETHERNET_HEADER = 14;
const NOT_THERE = 1;
/** Bytes of the packet's data. */
const DATA = 20;

const [R0, R1, R2, R3, R4, R6, FRAME] = [0, 1, 2, 3, 4, 6, 10];
const HELPERS = { lookup: 1, loadBytes: 26 } as const;

interface Instruction {
  readonly code: number;
  readonly to?: number;
  readonly from?: number;
  readonly offset?: number;
  readonly value?: number;
}

const move = (to: number, value: number): Instruction => ({ code: 0xb7, to, value });
const copy = (to: number, from: number): Instruction => ({ code: 0xbf, to, from });
const add = (to: number, value: number): Instruction => ({ code: 0x07, to, value });
const call = (helper: number): Instruction => ({ code: 0x85, value: helper });
const EXIT: Instruction = { code: 0x95 };

/** The packet's data is a part's key, the slot within it and the backend to write there. Returns 0, or `NOT_THERE`. */
const program = (slots: number): readonly Instruction[] => [
  copy(R6, R1),
  ...[copy(R1, R6), move(R2, 0), copy(R3, FRAME), add(R3, -24), move(R4, DATA), call(HELPERS.loadBytes)],
  { code: 0x55, to: R0, offset: 14 }, // Shorter than that: to the last two.
  ...[{ code: 0x18, to: R1, from: 1, value: slots }, { code: 0 }], // The map, by its descriptor.
  ...[copy(R2, FRAME), add(R2, -24), call(HELPERS.lookup)],
  { code: 0x15, to: R0, offset: 8 }, // Not there: to the last two.
  { code: 0x61, to: R1, from: FRAME, offset: -12 },
  { code: 0x57, to: R1, value: SLOTS_A_PART - 1 },
  { code: 0x67, to: R1, value: 2 }, // Four bytes each.
  { code: 0x0f, to: R0, from: R1 },
  { code: 0x61, to: R1, from: FRAME, offset: -8 },
  { code: 0x63, to: R0, from: R1 },
  ...[move(R0, 0), EXIT],
  ...[move(R0, NOT_THERE), EXIT],
];

function encode(instructions: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(8 * instructions.length);
  for (const [i, { code, to = 0, from = 0, offset = 0, value = 0 }] of instructions.entries()) {
    bytes[8 * i] = code;
    bytes[8 * i + 1] = to | (from << 4);
    bytes.writeInt16LE(offset, 8 * i + 2);
    bytes.writeInt32LE(value, 8 * i + 4);
  }
  return bytes;
}

export class SlotWriter {
  readonly #program: number;
  readonly #packet = Buffer.alloc(ETHERNET_HEADER + DATA);

  /** `slots`: the map. */
  constructor(slots: number) {
    this.#program = loadProgram(PROGRAM_TYPES.socketFilter, encode(program(slots)), 'write slots');
  }

  /** Returns 0 or an errno. */
  write(service: number, generation: number, slot: number, backend: number): number {
    putWords(this.#packet, ETHERNET_HEADER, service, generation, partOf(slot), slot % SLOTS_A_PART, backend);
    const { result, errno } = runProgram(this.#program, this.#packet);
    if (errno !== 0) return errno;
    return result === NOT_THERE ? constants.errno.ENOENT : 0;
  }

  close(): void {
    closeSync(this.#program);
  }
}
