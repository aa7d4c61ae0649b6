/**
 * Rules as the kernel takes them (linux/netfilter/nf_tables.h): a rule is a list of expressions, which load something
 * into registers, look at them, or act. Pure bytes; written as nft writes them, so that it can show them as rules.
 */
import { attribute, hostWord, nested } from '../netlink/messages.ts';
import { type Family, nfFamily } from './family.ts';

/** One line of a rule. */
export type Statement = readonly Buffer[];

/** Something that can be loaded: into a register, and those that follow if it is longer than one. */
export interface Value {
  readonly bytes: number;
  load(register: number): Statement;
}

/** Registers are words of 4 bytes; those at which 16 bytes may begin have older numbers. */
const register = (word: number): number => (word % 4 === 0 ? 1 + word / 4 : 8 + word);
const VERDICT_REGISTER = 0;
const FIRST = register(0);
/** Where `key` is never long enough to reach. */
const SECOND = register(4);

/** The parts of a key stand in words of their own. */
const wordsOf = (bytes: number): number => (bytes + 3) >> 2;

const expression = (name: string, ...attributes: readonly Buffer[]): Buffer =>
  nested(1, attribute(1, name), nested(2, ...attributes));

const dataOf = (bytes: Buffer): Buffer => attribute(1, bytes);
const u8 = (value: number): Buffer => Buffer.from([value]);

function loadKey(parts: readonly Value[], firstWord = 0): Statement {
  let word = firstWord;
  return parts.flatMap((part) => {
    const at = word;
    word += wordsOf(part.bytes);
    return part.load(register(at));
  });
}

export const payload = (base: 'network' | 'transport', offset: number, bytes: number): Value => ({
  bytes,
  load: (to) => [
    expression(
      'payload',
      attribute(1, to),
      attribute(2, base === 'network' ? 1 : 2),
      attribute(3, offset),
      attribute(4, bytes),
    ),
  ],
});

const META = { priority: 2, iif: 4, l4proto: 16 } as const;
export const meta = (key: keyof typeof META): Value => ({
  bytes: key === 'l4proto' ? 1 : 4,
  load: (to) => [expression('meta', attribute(2, META[key]), attribute(1, to))],
});

const CT = { state: 0, status: 2, 'proto-dst': 12, 'ip daddr': 20, 'ip6 daddr': 22 } as const;
const ct = (key: keyof typeof CT): Value => ({
  bytes: 4,
  load: (to) => [expression('ct', attribute(2, CT[key]), attribute(1, to))],
});
/** Of the packet that a connection began with. */
export const ctOriginal = (key: 'proto-dst' | 'ip daddr' | 'ip6 daddr'): Value => ({
  bytes: key === 'proto-dst' ? 2 : key === 'ip daddr' ? 4 : 16,
  load: (to) => [expression('ct', attribute(2, CT[key]), attribute(1, to), attribute(3, u8(0)))],
});

/** The value with all its bits masked out. */
export const blank = (value: Value): Value => ({
  bytes: value.bytes,
  load: (to) => [...value.load(to), mask(to, Buffer.alloc(value.bytes))],
});

const mask = (at: number, bits: Buffer): Buffer =>
  expression(
    'bitwise',
    attribute(1, at),
    attribute(2, at),
    attribute(6, 0),
    attribute(3, bits.length),
    nested(4, dataOf(bits)),
    nested(5, dataOf(Buffer.alloc(bits.length))),
  );

/** From `first` on, so many numbers. */
export const random = (below: number, first: number): Value => ({
  bytes: 4,
  load: (to) => [expression('numgen', attribute(1, to), attribute(2, below), attribute(3, 1), attribute(4, first))],
});

/** A number out of a key, one of `below` from `first` on: else any 32 bits but 0xffffffff. */
export const hash = (key: readonly Value[], seed: number, below = 0xffffffff, first = 0): Value => ({
  bytes: 4,
  load: (to) => [
    ...loadKey(key, 4),
    expression(
      'hash',
      attribute(1, SECOND),
      attribute(2, to),
      attribute(
        3,
        key.reduce((sum, part) => sum + 4 * wordsOf(part.bytes), 0),
      ),
      attribute(4, below),
      attribute(5, seed),
      attribute(6, first),
      attribute(7, 0),
    ),
  ],
});

const compare = (equal: boolean, bytes: Buffer): Buffer =>
  expression('cmp', attribute(1, FIRST), attribute(2, equal ? 0 : 1), nested(3, dataOf(bytes)));

export const matches = (value: Value, bytes: Buffer): Statement => [...value.load(FIRST), compare(true, bytes)];
export const differs = (value: Value, bytes: Buffer): Statement => [...value.load(FIRST), compare(false, bytes)];

const hasBit = (value: Value, bit: number): Statement => [
  ...value.load(FIRST),
  mask(FIRST, hostWord(bit)),
  compare(false, hostWord(0)),
];
export const isNew = (): Statement => hasBit(ct('state'), 8);
/** Fits to no connection that is known of. */
export const isInvalid = (): Statement => hasBit(ct('state'), 1);
export const isTranslated = (): Statement => hasBit(ct('status'), 32);

const typeOf = (which: 'saddr' | 'daddr'): Buffer =>
  expression('fib', attribute(3, which === 'saddr' ? 1 : 2), attribute(2, 3), attribute(1, FIRST));
export const isThisHost = (which: 'saddr' | 'daddr'): Statement => [typeOf(which), compare(true, hostWord(2))];
export const isNotThisHost = (which: 'saddr' | 'daddr'): Statement => [typeOf(which), compare(false, hostWord(2))];

export const isIn = (set: string, ...key: readonly Value[]): Statement => [
  ...loadKey(key),
  expression('lookup', attribute(2, FIRST), attribute(1, set)),
];

export const isNotIn = (set: string, ...key: readonly Value[]): Statement => [
  ...loadKey(key),
  expression('lookup', attribute(2, FIRST), attribute(1, set), attribute(5, 1)),
];

const find = (map: string, key: readonly Value[], to: number): Statement => [
  ...loadKey(key),
  expression('lookup', attribute(2, FIRST), attribute(3, to), attribute(1, map)),
];

export const goByMap = (map: string, ...key: readonly Value[]): Statement => find(map, key, VERDICT_REGISTER);

const setPriority = (): Buffer => expression('meta', attribute(2, META.priority), attribute(3, FIRST));
export const priorityFromMap = (map: string, ...key: readonly Value[]): Statement => [
  ...find(map, key, FIRST),
  setPriority(),
];
export const setPriorityTo = (value: Value): Statement => [...value.load(FIRST), setPriority()];
export const clearPriority = (): Statement => [
  expression('immediate', attribute(1, FIRST), nested(2, dataOf(hostWord(0)))),
  setPriority(),
];

/** Remembers the priority under a key, for so many seconds from now; or forgets it. */
export function remember(map: string, key: readonly Value[], seconds: number): Statement {
  const timeout = Buffer.alloc(8);
  timeout.writeBigUInt64BE(BigInt(seconds) * 1000n);
  return dynamicSet(map, key, 1, attribute(6, timeout));
}
export const forget = (map: string, key: readonly Value[]): Statement => dynamicSet(map, key, 2);

const dynamicSet = (map: string, key: readonly Value[], operation: number, ...more: readonly Buffer[]): Statement => [
  ...loadKey(key),
  ...meta('priority').load(SECOND),
  expression('dynset', attribute(4, FIRST), attribute(5, SECOND), attribute(3, operation), ...more, attribute(1, map)),
];

/** Translates to the address and port that the map has for this key. */
export const translateByMap = (family: Family, map: string, ...key: readonly Value[]): Statement => [
  ...find(map, key, FIRST),
  expression(
    'nat',
    attribute(1, 1),
    attribute(2, nfFamily[family]),
    attribute(3, FIRST),
    attribute(5, register(family === 'ip' ? 1 : 4)),
  ),
];

/** To a random port of an address of this host. */
export const masquerade = (): Statement => [expression('masq', attribute(1, 0x10))];

/** NFT_OBJECT_CT_TIMEOUT. */
export const CT_TIMEOUT = 7;
/** Another timeout for the connection than the machine has: an object of this name. */
export const timeout = (name: string): Statement => [
  expression('objref', attribute(1, CT_TIMEOUT), attribute(2, name)),
];

export const resetTcp = (): Statement => [expression('reject', attribute(1, 1), attribute(2, u8(0)))];
export const portUnreachable = (family: Family): Statement => [
  expression('reject', attribute(1, 0), attribute(2, u8(family === 'ip' ? 3 : 4))),
];

const VERDICT = { drop: 0, jump: -3, goto: -4, return: -5 } as const;

/** NFTA_DATA_VERDICT: what stands in a map of verdicts, too. */
export const verdictData = (kind: keyof typeof VERDICT, chain?: string): Buffer =>
  nested(2, attribute(1, VERDICT[kind]), ...(chain === undefined ? [] : [attribute(2, chain)]));

export const verdict = (kind: keyof typeof VERDICT, chain?: string): Statement => [
  expression('immediate', attribute(1, VERDICT_REGISTER), nested(2, verdictData(kind, chain))),
];
