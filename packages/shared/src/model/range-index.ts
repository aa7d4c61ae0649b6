/**
 * Finds ranges by the addresses that they have, among any number that may overlap: a search tree over a sorted array,
 * each part of which knows how far its ranges reach. All are known from the beginning, and found once they are added.
 */
import type { AddressRange } from './address-range.ts';
import type { IpFamily } from './ip.ts';

/** A range, and whatever it belongs to. */
export interface RangeEntry<T> {
  readonly range: AddressRange;
  readonly value: T;
}

interface Node<T> {
  readonly entry: RangeEntry<T>;
  isAdded: boolean;
  /** The last number of what was added in the part of which it is the middle; -1 while nothing was. */
  reach: bigint;
}

export class RangeIndex<T> {
  readonly #nodes: Readonly<Record<IpFamily, readonly Node<T>[]>>;
  readonly #places = new Map<RangeEntry<T>, number>();

  constructor(entries: readonly RangeEntry<T>[]) {
    const of = (family: IpFamily): readonly Node<T>[] =>
      entries
        .filter(({ range }) => range.family === family)
        .sort((a, b) => compare(a.range.first, b.range.first) || compare(a.range.last, b.range.last))
        .map((entry, place) => {
          this.#places.set(entry, place);
          return { entry, isAdded: false, reach: -1n };
        });
    this.#nodes = { 4: of(4), 6: of(6) };
  }

  /** With all of them added. */
  static of<T>(entries: readonly RangeEntry<T>[]): RangeIndex<T> {
    const index = new RangeIndex(entries);
    for (const entry of entries) index.add(entry);
    return index;
  }

  /** One of those that it was made with. */
  add(entry: RangeEntry<T>): void {
    const { family, last } = entry.range;
    const nodes = this.#nodes[family];
    const place = this.#places.get(entry) ?? -1;
    let [low, high] = [0, nodes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const node = nodes[middle];
      if (!node) return;
      if (node.reach < last) node.reach = last;
      if (middle === place) {
        node.isAdded = true;
        return;
      }
      if (place < middle) high = middle;
      else low = middle + 1;
    }
  }

  /** Those that have a number in common with the range, by their first numbers. Each takes about as long as a search. */
  *overlapping({ family, first, last }: AddressRange): Generator<RangeEntry<T>> {
    yield* overlapping(this.#nodes[family], first, last, 0, this.#nodes[family].length);
  }

  with(family: IpFamily, number: bigint): Generator<RangeEntry<T>> {
    return this.overlapping({ family, first: number, last: number });
  }
}

function* overlapping<T>(
  nodes: readonly Node<T>[],
  first: bigint,
  last: bigint,
  low: number,
  high: number,
): Generator<RangeEntry<T>> {
  const middle = (low + high) >> 1;
  const node = low < high ? nodes[middle] : undefined;
  if (!node || node.reach < first) return;
  yield* overlapping(nodes, first, last, low, middle);
  if (node.entry.range.first > last) return;
  if (node.isAdded && node.entry.range.last >= first) yield node.entry;
  yield* overlapping(nodes, first, last, middle + 1, high);
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
