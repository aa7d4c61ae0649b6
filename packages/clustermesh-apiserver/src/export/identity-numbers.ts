/**
 * Numbers for label texts, in this cluster's range. A text keeps its number for as long as anybody remembers it: those
 * found in etcd are taken over, and a new text begins its search at its own hash, so that an etcd that was lost is
 * rebuilt with (almost always) the same numbers. A number without users is withdrawn after some sweeps, and stays
 * reserved for its text while there is room.
 */
import { createHash } from 'node:crypto';
import type { IdentityRange } from '@tombolo/shared/wire/identity.ts';
import { type EntryChanges, ExportedValues } from './entries.ts';

/** Sweeps that an unused number outlives. */
const IDLE_SWEEPS = 15;

export class IdentityNumbers {
  readonly #range: IdentityRange;
  readonly #numbers = new Map<string, number>();
  readonly #texts = new Map<number, string>();
  readonly #numberOf = new Map<string, number>();
  /** Of the numbers that are exported: by how many they are used, and sweeps seen since nobody does. */
  readonly #usage = new Map<number, { users: number; idleSweeps: number }>();
  readonly #dirty = new Set<number>();
  readonly #exported = new ExportedValues();

  constructor(range: IdentityRange) {
    this.#range = range;
  }

  /** A number found in etcd. Of two for the same text the first is kept. */
  adopt(number: number, text: string): void {
    if (number < this.#range.first || number > this.#range.last) return;
    if (this.#numbers.has(text) || this.#texts.has(number)) return;
    this.#reserve(number, text);
  }

  /** The number for the text, from now on used by `user`, or undefined when none is left. */
  use(user: string, text: string): number | undefined {
    const number = this.#numbers.get(text) ?? this.#allocate(text);
    if (number === this.#numberOf.get(user)) return number;
    this.release(user);
    if (number === undefined) return undefined;
    this.#numberOf.set(user, number);
    this.#usage.set(number, { users: (this.#usage.get(number)?.users ?? 0) + 1, idleSweeps: 0 });
    this.#dirty.add(number);
    return number;
  }

  release(user: string): void {
    const number = this.#numberOf.get(user);
    const usage = number !== undefined && this.#usage.get(number);
    if (usage) usage.users--;
    this.#numberOf.delete(user);
  }

  numberOf(user: string): number | undefined {
    return this.#numberOf.get(user);
  }

  /** To be called about once a minute. */
  sweep(): void {
    for (const [number, usage] of this.#usage) {
      if (usage.users > 0 || ++usage.idleSweeps < IDLE_SWEEPS) continue;
      this.#usage.delete(number);
      this.#dirty.add(number);
    }
  }

  takeChanges(): EntryChanges {
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    return this.#exported.update(
      dirty.map((number) => [`${number}`, this.#usage.has(number) ? this.#texts.get(number) : undefined]),
    );
  }

  get size(): number {
    return this.#exported.size;
  }

  #allocate(text: string): number | undefined {
    const { first, last } = this.#range;
    const size = last - first + 1;
    if (this.#texts.size >= size) this.#forgetUnused();
    if (this.#texts.size >= size) return undefined;
    let number = first + (createHash('sha256').update(text).digest().readUInt32BE() % size);
    while (this.#texts.has(number)) number = number === last ? first : number + 1;
    this.#reserve(number, text);
    return number;
  }

  #reserve(number: number, text: string): void {
    this.#numbers.set(text, number);
    this.#texts.set(number, text);
  }

  #forgetUnused(): void {
    for (const [number, text] of this.#texts) {
      if (this.#usage.has(number) || this.#dirty.has(number)) continue;
      this.#texts.delete(number);
      this.#numbers.delete(text);
    }
  }
}
