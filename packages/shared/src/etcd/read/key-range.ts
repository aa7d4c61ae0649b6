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
  for (let last = key.length - 1; last >= 0; last--) {
    const byte = key[last];
    if (byte !== undefined && byte < 0xff) {
      return { key, end: Buffer.concat([key.subarray(0, last), Buffer.from([byte + 1])]) };
    }
  }
  return { key, end: ZERO };
}

/** The smallest key after this one. */
export function keyAfter(key: Buffer): Buffer {
  return Buffer.concat([key, ZERO]);
}
