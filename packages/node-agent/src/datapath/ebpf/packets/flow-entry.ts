/** Entries of the map of flows, as bpf/layout.h and bpf/flows.h have them. */
import { addElement, lookupBatch } from '../bpf-calls.ts';

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

/** The programs' clock: in units of 2^30 ns, of the same clock as `process.hrtime`. */
const flowClock = (): number => Number(process.hrtime.bigint() >> 30n);

/** How long what is known of a flow holds after its last packet, in units of the programs' clock. */
function timeOf(protocol: number, state: number): number {
  if (protocol === UDP) return 120;
  if ((state & RESET) !== 0) return 5;
  if ((state & CLOSED) === CLOSED) return 60;
  if ((state & CLOSED) !== 0) return 3_600;
  return (state & ESTABLISHED) !== 0 ? 86_400 : 60;
}

const isLive = (key: Buffer, value: Buffer, now: number): boolean =>
  now - value.readUInt32LE(SEEN_AT) <= timeOf(key[PROTOCOL_AT] ?? 0, value[STATE_AT] ?? 0);

/** Those that may go on, read a page at a time. What it yields is good until the next. */
function* liveFlows(map: number): Generator<readonly [key: Buffer, value: Buffer]> {
  const position = Buffer.alloc(FLOW_KEY_SIZE);
  const keys = Buffer.alloc(PAGE * FLOW_KEY_SIZE);
  const values = Buffer.alloc(PAGE * FLOW_SIZE);
  const now = flowClock();
  for (let isFirst = true, isLast = false; !isLast; isFirst = false) {
    const { count, last } = lookupBatch(map, position, isFirst, keys, values, PAGE);
    for (let i = 0; i < count; i += 1) {
      const key = keys.subarray(i * FLOW_KEY_SIZE, (i + 1) * FLOW_KEY_SIZE);
      const value = values.subarray(i * FLOW_SIZE, (i + 1) * FLOW_SIZE);
      if (isLive(key, value, now)) yield [key, value];
    }
    isLast = last;
  }
}

export const hasLiveFlow = (map: number): boolean => liveFlows(map).next().done !== true;

/** What is in `to` already stays. */
export function copyFlows(from: number, to: number): void {
  for (const [key, value] of liveFlows(from)) addElement(to, key, value);
}
