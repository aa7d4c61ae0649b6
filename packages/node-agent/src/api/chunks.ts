/** Sequences without bounds, in pieces that fit into messages. Pure. */
export interface Chunk<T> {
  readonly items: readonly T[];
  readonly bytes: number;
  readonly isLast: boolean;
}

/** Of at most `limit` bytes, or of one item that is larger. There is at least one; it is empty when there are no items. */
export function* chunked<T>(items: Iterable<T>, bytesOf: (item: T) => number, limit: number): Generator<Chunk<T>> {
  let chunk: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = bytesOf(item);
    if (bytes + size > limit && chunk.length > 0) {
      yield { items: chunk, bytes, isLast: false };
      chunk = [];
      bytes = 0;
    }
    chunk.push(item);
    bytes += size;
  }
  yield { items: chunk, bytes, isLast: true };
}
