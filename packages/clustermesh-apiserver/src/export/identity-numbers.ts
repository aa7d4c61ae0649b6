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
  /** How many use a number; none is not kept. */
  readonly #users = new Map<number, number>();
  /** Sweeps seen since a number lost its last user. */
  readonly #idle = new Map<number, number>();
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
    this.#idle.delete(number);
    this.#dirty.add(number);
    this.#users.set(number, (this.#users.get(number) ?? 0) + 1);
    return number;
  }

  release(user: string): void {
    const number = this.#numberOf.get(user);
    if (number === undefined) return;
    this.#numberOf.delete(user);
    const left = (this.#users.get(number) ?? 0) - 1;
    if (left > 0) {
      this.#users.set(number, left);
    } else {
      this.#users.delete(number);
      this.#idle.set(number, 0);
    }
  }

  numberOf(user: string): number | undefined {
    return this.#numberOf.get(user);
  }

  /** To be called about once a minute. */
  sweep(): void {
    for (const [number, sweeps] of this.#idle) {
      if (sweeps + 1 < IDLE_SWEEPS) {
        this.#idle.set(number, sweeps + 1);
      } else {
        this.#idle.delete(number);
        this.#dirty.add(number);
      }
    }
  }

  takeChanges(): EntryChanges {
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    return this.#exported.update(
      dirty.map((number) => [`${number}`, this.#isExported(number) ? this.#texts.get(number) : undefined]),
    );
  }

  get size(): number {
    return this.#exported.size;
  }

  #isExported(number: number): boolean {
    return this.#users.has(number) || this.#idle.has(number);
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
      if (this.#isExported(number) || this.#dirty.has(number)) continue;
      this.#texts.delete(number);
      this.#numbers.delete(text);
    }
  }
}
