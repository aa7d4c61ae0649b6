/** Entries of the maps of flows, as bpf/layout.h and bpf/flows.h have them. */
import { addElement, lookupBatch, takeOut } from '../bpf-calls.ts';

/** Name in the object and of the pin, and the share of the flows that there is room for. */
export const FLOW_MAPS = { streams: 1, datagrams: 0.5 } as const;
export type FlowMap = keyof typeof FLOW_MAPS;
export const FLOW_MAP_NAMES = Object.keys(FLOW_MAPS) as readonly FlowMap[];

export const FLOW_KEY_SIZE = 40;
export const FLOW_SIZE = 56;

const PROTOCOL_AT = 36;
const SEEN_AT = 48;
const STATE_AT = 53;
const UDP = 17;
/** Bits of its state. */
const ESTABLISHED = 1;
const CLOSED = 2 | 4;
const RESET = 8;
const PAGE = 512;
/** In units of the programs' clock: what ended is theirs to take away for so long. */
const MISSED = 30;

/** The programs' clock: in units of 2^30 ns, of the same clock as `process.hrtime`. */
const flowClock = (): number => Number(process.hrtime.bigint() >> 30n);

/** How long what is known of a flow holds after its last packet, in units of the programs' clock. */
function timeOf(protocol: number, state: number): number {
  if (protocol === UDP) return 120;
  if ((state & RESET) !== 0) return 1;
  if ((state & CLOSED) === CLOSED) return 8;
  if ((state & CLOSED) !== 0) return 3_600;
  return (state & ESTABLISHED) !== 0 ? 86_400 : 60;
}

const isLive = (key: Buffer, value: Buffer, now: number): boolean =>
  now - value.readUInt32LE(SEEN_AT) <= timeOf(key[PROTOCOL_AT] ?? 0, value[STATE_AT] ?? 0);

interface Entry {
  /** Both are good until the next one is asked for. */
  readonly key: Buffer;
  readonly value: Buffer;
  readonly isLive: boolean;
}

/** A page at a time. */
function* entriesOf(map: number): Generator<Entry> {
  const position = Buffer.alloc(FLOW_KEY_SIZE);
  const keys = Buffer.alloc(PAGE * FLOW_KEY_SIZE);
  const values = Buffer.alloc(PAGE * FLOW_SIZE);
  const now = flowClock();
  for (let isFirst = true, isLast = false; !isLast; isFirst = false) {
    const { count, last } = lookupBatch(map, position, isFirst, keys, values, PAGE);
    for (let i = 0; i < count; i += 1) {
      const key = keys.subarray(i * FLOW_KEY_SIZE, (i + 1) * FLOW_KEY_SIZE);
      const value = values.subarray(i * FLOW_SIZE, (i + 1) * FLOW_SIZE);
      yield { key, value, isLive: isLive(key, value, now) };
    }
    isLast = last;
  }
}

/** Whether any flow may go on. */
export function hasLiveFlow(map: number): boolean {
  for (const entry of entriesOf(map)) if (entry.isLive) return true;
  return false;
}

/** Those that may go on; what is in `to` already stays. */
export function copyFlows(from: number, to: number): void {
  for (const { key, value, isLive } of entriesOf(from)) if (isLive) addElement(to, key, value);
}

/**
 * Takes out those that have been over for a while, which the programs have missed, and answers how many there are then. A
 * client may take one up again meanwhile: what turns out to be alive when it was taken out is put back.
 */
export function sweepFlows(map: number): number {
  const now = flowClock();
  let left = 0;
  const over: Buffer[] = [];
  for (const { key, value } of entriesOf(map)) {
    left += 1;
    if (!isLive(key, value, now - MISSED)) over.push(Buffer.from(key));
  }
  for (const key of over) {
    const value = takeOut(map, key, FLOW_SIZE);
    if (value && isLive(key, value, flowClock() - MISSED)) addElement(map, key, value);
    else left -= 1;
  }
  return left;
}
