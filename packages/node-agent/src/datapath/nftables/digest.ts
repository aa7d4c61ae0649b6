/**
 * Which elements a table holds, in a few bytes: the same for the same elements in any order. Good against accidents, not
 * against somebody who looks for elements with equal sums.
 */
import type { SetName } from './sets.ts';
import { SETS } from './sets.ts';

export class Digest {
  #count = 0;
  #first = 0;
  #second = 0;

  /** An element by its bytes within NFTA_LIST_ELEM, which are whole words. */
  add(set: SetName, element: Buffer): void {
    let first = SETS.indexOf(set) + 1;
    let second = ~first;
    for (let at = 0; at + 4 <= element.length; at += 4) {
      const word = element.readInt32LE(at);
      first = Math.imul(first ^ word, 0x01000193);
      first ^= first >>> 15;
      second = Math.imul(second + word, 0x5bd1e995);
      second ^= second >>> 13;
    }
    this.#count += 1;
    this.#first = (this.#first + first) | 0;
    this.#second = (this.#second + second) | 0;
  }

  equals(other: Digest): boolean {
    return this.#count === other.#count && this.#first === other.#first && this.#second === other.#second;
  }
}
