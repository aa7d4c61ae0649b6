/** Ranges of keys, as etcd writes them: from a key to before another; `\0` as the end means no end. Pure. */
export interface KeyRange {
  readonly key: Buffer;
  readonly end: Buffer;
}

const ZERO = Buffer.from([0]);

/** All keys that start with the prefix. An empty prefix means all keys, as etcd spells it. */
export function prefixRange(prefix: string): KeyRange {
  const key = Buffer.from(prefix);
  if (key.length === 0) return { key: ZERO, end: ZERO };
  const last = key.length - 1;
  // In UTF-8 no byte is 0xff.
  return { key, end: Buffer.concat([key.subarray(0, last), Buffer.from([key.readUInt8(last) + 1])]) };
}

/** The smallest key after this one. */
export function keyAfter(key: Buffer): Buffer {
  return Buffer.concat([key, ZERO]);
}
