/**
 * Netlink messages as bytes (linux/netlink.h, linux/netfilter/nfnetlink.h): written from parts, and taken apart without
 * copying. Pure. Headers are in host order, which is little-endian on every machine that we run on; what the attributes
 * of a subsystem hold is mostly in network order.
 */

export const REQUEST = 1;
export const ACK = 4;
export const DUMP = 0x300;
export const CREATE = 0x400;
export const APPEND = 0x800;

export const ERROR = 2;
export const DONE = 3;
const BATCH_BEGIN = 16;
const BATCH_END = 17;

const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;
/** nlmsghdr and nfgenmsg. */
export const HEADER = 20;

export const AF_INET = 2;
export const AF_INET6 = 10;

export interface Message {
  readonly type: number;
  readonly sequence: number;
  /** What follows nlmsghdr. */
  readonly body: Buffer;
}

export interface Attribute {
  readonly type: number;
  /** Whether the value is attributes again. */
  readonly isNested: boolean;
  readonly value: Buffer;
}

const aligned = (length: number): number => (length + 3) & ~3;

/** Bytes as they are; text with its NUL; numbers are 32 bits in network order. */
export function attribute(type: number, value: Buffer | string | number): Buffer {
  const length =
    typeof value === 'number' ? 4 : typeof value === 'string' ? Buffer.byteLength(value) + 1 : value.length;
  const bytes = Buffer.alloc(4 + aligned(length));
  bytes.writeUInt16LE(4 + length, 0);
  bytes.writeUInt16LE(type, 2);
  if (typeof value === 'number') bytes.writeUInt32BE(value >>> 0, 4);
  else if (typeof value === 'string') bytes.write(value, 4);
  else value.copy(bytes, 4);
  return bytes;
}

/** What is in host order within an attribute. */
export function hostWord(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export const nested = (type: number, ...attributes: readonly Buffer[]): Buffer =>
  attribute(type | NESTED, Buffer.concat(attributes));

/** Its sequence number is 0, until somebody sends it. */
export function message(type: number, flags: number, family: number, ...attributes: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(HEADER), ...attributes]);
  writeHeader(bytes, 0, { length: bytes.length, type, flags: flags | REQUEST, family });
  return bytes;
}

export interface Header {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly family: number;
}

export function writeHeader(bytes: Buffer, at: number, { length, type, flags, family }: Header): void {
  bytes.writeUInt32LE(length, at);
  bytes.writeUInt16LE(type, at + 4);
  bytes.writeUInt16LE(flags, at + 6);
  bytes.writeUInt8(family, at + 16);
}

/** Takes apart what came in one piece, or what goes out in one. */
export function* messagesOf(bytes: Buffer): Generator<Message> {
  for (let at = 0; at + 16 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < 16 || at + length > bytes.length) return;
    const [type, sequence] = [bytes.readUInt16LE(at + 4), bytes.readUInt32LE(at + 8)];
    yield { type, sequence, body: bytes.subarray(at + 16, at + length) };
    at += aligned(length);
  }
}

/** Of bytes that hold nothing else: a nested attribute, or a body behind nfgenmsg. */
export function* attributesOf(bytes: Buffer): Generator<Attribute> {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) return;
    const type = bytes.readUInt16LE(at + 2);
    yield { type: type & TYPE_MASK, isNested: (type & NESTED) !== 0, value: bytes.subarray(at + 4, at + length) };
    at += aligned(length);
  }
}

export const nfAttributesOf = ({ body }: Message): Generator<Attribute> => attributesOf(body.subarray(4));

export function attributeOf(bytes: Buffer, type: number): Buffer | undefined {
  for (const one of attributesOf(bytes)) if (one.type === type) return one.value;
  return undefined;
}

/** 0, or the errno of an error message. */
export const errnoOf = ({ body }: Message): number => (body.length < 4 ? 0 : -body.readInt32LE(0));

/** One transaction of a subsystem: all messages or none. The last one is acknowledged. */
export function batch(subsystem: number, messages: readonly Buffer[], firstSequence: number): Buffer {
  const mark = (type: number): Buffer => {
    const bytes = message(type, 0, 0);
    bytes.writeUInt16BE(subsystem, 18);
    return bytes;
  };
  const whole = Buffer.concat([mark(BATCH_BEGIN), ...messages, mark(BATCH_END)]);
  let last = 0;
  for (let [at, sequence] = [0, firstSequence]; at < whole.length - HEADER; sequence += 1) {
    whole.writeUInt32LE(sequence, at + 8);
    last = at;
    at += aligned(whole.readUInt32LE(at));
  }
  whole.writeUInt16LE(whole.readUInt16LE(last + 6) | ACK, last + 6);
  return whole;
}
