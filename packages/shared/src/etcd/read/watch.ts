/**
 * One watch on one stream, from its creation to its end. Ends as a value; the follower decides what comes next. Answers
 * are handed on in the tick in which they arrive.
 */
import type { Connection, IEvent, IWatchResponse, WatchStream } from '../session/connection.ts';
import type { EtcdError } from '../session/errors.ts';
import { toEtcdError } from '../session/grpc-errors.ts';
import { prefixRange } from './listing.ts';

export type WatchEnd =
  | { readonly kind: 'aborted' }
  /** The stream broke: what was handed on holds, go on from the next revision. */
  | { readonly kind: 'lost'; readonly error: EtcdError }
  /** etcd cancelled the watch, because of a compaction or otherwise: list again. */
  | { readonly kind: 'cancelled'; readonly error: EtcdError };

export interface WatchHandler {
  /** Rejections and throws end the watch and reject `watchPrefix`. */
  created(response: IWatchResponse): void;
  events(events: readonly IEvent[], response: IWatchResponse): void;
}

export interface WatchRequest {
  readonly prefix: string;
  readonly from: string;
}

const CREATE_TIMEOUT_MS = 30_000;

export async function watchPrefix(
  connection: Connection,
  request: WatchRequest,
  handler: WatchHandler,
  signal: AbortSignal,
): Promise<WatchEnd> {
  const action = `watch prefix "${request.prefix}"`;
  const where = connection.endpoint.url;
  let stream: WatchStream;
  try {
    stream = await connection.openWatch();
  } catch (cause) {
    return { kind: 'lost', error: toEtcdError(cause, action, where) };
  }
  return new Promise<WatchEnd>((resolve, reject) => {
    const lost = (cause: unknown) => finish(() => resolve({ kind: 'lost', error: toEtcdError(cause, action, where) }));
    const aborted = () => finish(() => resolve({ kind: 'aborted' }));
    const creation = setTimeout(() => lost(new Error('the watch was not created in time')), CREATE_TIMEOUT_MS);
    let finished = false;
    const finish = (settle: () => void) => {
      if (finished) return;
      finished = true;
      clearTimeout(creation);
      signal.removeEventListener('abort', aborted);
      stream.cancel();
      settle();
    };
    // Cancelling makes the stream fail once more: the listener stays to swallow that.
    stream.on('error', lost).on('end', () => lost(new Error('the stream ended')));
    stream.on('data', (response) => {
      if (finished) return;
      clearTimeout(creation);
      try {
        if (response.canceled) {
          return finish(() => resolve({ kind: 'cancelled', error: toEtcdError(cancelCause(response), action, where) }));
        }
        if (response.created) handler.created(response);
        if (response.events.length > 0) handler.events(response.events, response);
      } catch (error) {
        finish(() => reject(error));
      }
    });
    if (signal.aborted) return aborted();
    signal.addEventListener('abort', aborted, { once: true });
    const { key, end } = prefixRange(request.prefix);
    stream.write({ create_request: { key, range_end: end, start_revision: request.from } });
  });
}

/** A compaction comes without a reason, only with the oldest revision that is left. */
function cancelCause(response: IWatchResponse): Error {
  if (response.compact_revision !== '0') {
    return new Error(`etcdserver: mvcc: required revision has been compacted; oldest is ${response.compact_revision}`);
  }
  return Object.assign(new Error(response.cancel_reason || 'the watch was cancelled without a reason'), { code: 9 });
}
