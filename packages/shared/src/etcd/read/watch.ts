/**
 * One watch from its creation to its end: batches of events in the order of their revisions, each revision whole. It
 * ends with an `EtcdError`: `unavailable` when the stream broke, so that what was handed on holds; of another kind when
 * etcd cancelled it, because of a compaction or otherwise, and only a new listing can tell.
 */
import type { Clock } from '../../process/clock.ts';
import { childOf } from '../../process/notifier.ts';
import type { KeyEvent, WatchAnswer } from '../session/connection.ts';
import { isSilence } from '../session/errors.ts';
import { toEtcdError } from '../session/grpc-errors.ts';
import type { Session } from '../session/session.ts';
import { prefixRange } from './key-range.ts';

export interface WatchOptions {
  readonly prefix: string;
  /** The first revision to hear of. */
  readonly from: bigint;
  readonly clock: Clock;
}

export interface Watch {
  /** Of etcd, when it accepted the watch. */
  readonly revision: bigint;
  readonly batches: AsyncIterable<readonly KeyEvent[]>;
}

const CREATE_TIMEOUT_MS = 30_000;

/** Waits for an etcd that does not answer. The signal ends the watch. */
export async function openWatch(session: Session, options: WatchOptions, signal: AbortSignal): Promise<Watch> {
  const { prefix, from, clock } = options;
  const { key, end } = prefixRange(prefix);
  const action = `watch prefix "${prefix}"`;
  return session.call({ action, signal, patient: true }, async (connection) => {
    const life = childOf(signal);
    const late = new Error('the watch was not created in time');
    const cancelTimer = clock.after(CREATE_TIMEOUT_MS, () => life.abort(late));
    try {
      const request = { key, range_end: end, start_revision: String(from) };
      const answers = connection.watch(request, life.signal);
      const first = await answers.next();
      if (first.done) throw new Error('the stream ended');
      throwIfCancelled(first.value);
      const { header, events } = first.value;
      const lost = (cause: unknown) => {
        const error = toEtcdError(cause, action, connection.endpoint.url);
        if (isSilence(error)) session.drop(connection, error);
        return error;
      };
      return { header, revision: BigInt(header.revision), batches: batchesOf(session, events, answers, lost) };
    } catch (cause) {
      life.abort();
      throw life.signal.reason === late ? late : cause;
    } finally {
      cancelTimer();
    }
  });
}

async function* batchesOf(
  session: Session,
  first: readonly KeyEvent[],
  answers: AsyncIterable<WatchAnswer>,
  lost: (cause: unknown) => Error,
): AsyncGenerator<readonly KeyEvent[], void, undefined> {
  yield first;
  try {
    for await (const answer of answers) {
      throwIfCancelled(answer);
      session.confirm(answer.header);
      yield answer.events;
    }
    throw new Error('the stream ended');
  } catch (cause) {
    throw lost(cause);
  }
}

/** A compaction comes without a reason, only with the oldest revision that is left. */
function throwIfCancelled({ canceled, compact_revision, cancel_reason }: WatchAnswer): void {
  if (!canceled) return;
  if (compact_revision !== '0') {
    throw new Error(`etcdserver: mvcc: required revision has been compacted; oldest is ${compact_revision}`);
  }
  throw Object.assign(new Error(cancel_reason || 'the watch was cancelled without a reason'), { code: 9 });
}
