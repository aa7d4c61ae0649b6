/**
 * Sends a sequence of messages down a server stream at the reader's pace: the next one is asked for only while the
 * stream takes more. Ends the stream when the sequence ends, and leaves the sequence when the call is gone.
 */
import type { ServerWritableStream } from '@grpc/grpc-js';

type Messages<Message> = AsyncIterable<Message> | Iterable<Message>;

/** Settles when all was handed to the stream or the call is over. Rejects when the sequence does. */
export async function sendStream<Message>(
  call: ServerWritableStream<unknown, Message>,
  messages: Messages<Message>,
  signal: AbortSignal,
): Promise<void> {
  for await (const message of messages) {
    if (signal.aborted) return;
    if (!call.write(message)) await drained(call, signal);
    if (signal.aborted) return;
  }
}

async function drained(call: ServerWritableStream<unknown, unknown>, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
  });
}
