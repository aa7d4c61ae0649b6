/** Long lists in pieces, with a turn of the event loop between two of them; a short list is one piece, without a wait. */
import { nextTurn } from '@tombolo/shared/process/slices.ts';

export async function* inTurns<T>(items: Iterable<T>, size = 2000): AsyncGenerator<readonly T[]> {
  let piece: T[] = [];
  for (const item of items) {
    if (piece.length === size) {
      yield piece;
      piece = [];
      await nextTurn();
    }
    piece.push(item);
  }
  yield piece;
}
