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
  readonly #users = new Map<number, Set<string>>();
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
    const users = this.#users.get(number);
    if (users) users.add(user);
    else this.#users.set(number, new Set([user]));
    return number;
  }

  release(user: string): void {
    const number = this.#numberOf.get(user);
    if (number === undefined) return;
    this.#numberOf.delete(user);
    const users = this.#users.get(number);
    users?.delete(user);
    if (users?.size !== 0) return;
    this.#users.delete(number);
    this.#idle.set(number, 0);
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
    const changes = new Map<string, string | undefined>();
    for (const number of this.#dirty) {
      const wanted = this.#users.has(number) || this.#idle.has(number);
      const value = wanted ? this.#texts.get(number) : undefined;
      if (this.#exported.update(`${number}`, value)) changes.set(`${number}`, value);
    }
    this.#dirty.clear();
    return changes;
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
      if (this.#users.has(number) || this.#idle.has(number) || this.#dirty.has(number)) continue;
      this.#texts.delete(number);
      this.#numbers.delete(text);
    }
  }
}
