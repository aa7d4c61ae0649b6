/**
 * The server streams that are open. Each runs until its messages end, its caller leaves, or the agent shuts down; then
 * callers are told UNAVAILABLE, which clients take as "connect again".
 */
import { once } from 'node:events';
import { type ServerWritableStream, status } from '@grpc/grpc-js';
import type { Logger } from '@tombolo/shared/process/logger.ts';

type Call<Message> = ServerWritableStream<unknown, Message>;
type Messages<Message> = AsyncIterable<Message> | Iterable<Message>;

export class OpenStreams {
  readonly #log: Logger;
  readonly #running = new Set<AbortController>();
  #draining = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * Sends the messages. They get a signal which aborts when the stream is over for whatever reason, and must end then.
   * Never rejects: what goes wrong ends the call with a status.
   */
  async run<Message>(call: Call<Message>, messagesUntil: (over: AbortSignal) => Messages<Message>): Promise<void> {
    if (this.#draining) return refuse(call, status.UNAVAILABLE, SHUTTING_DOWN);
    const over = new AbortController();
    const leave = (): void => over.abort();
    call.on('cancelled', leave);
    this.#running.add(over);
    try {
      await send(call, messagesUntil(over.signal), over.signal);
      if (this.#draining && over.signal.aborted) refuse(call, status.UNAVAILABLE, SHUTTING_DOWN);
      else call.end();
    } catch (error) {
      this.#log.error({ error, bug: true }, 'Cannot send a stream of the API');
      refuse(call, status.INTERNAL, 'The agent failed to make the answer; its log says why');
    } finally {
      this.#running.delete(over);
      call.off('cancelled', leave);
      over.abort();
    }
  }

  /** Ends all streams, and refuses new ones. */
  drain(): void {
    this.#draining = true;
    for (const over of this.#running) over.abort();
  }
}

/** At the reader's pace: the next message is asked for only while the stream takes more. */
async function send<Message>(call: Call<Message>, messages: Messages<Message>, over: AbortSignal): Promise<void> {
  for await (const message of messages) {
    if (over.aborted) return;
    if (!call.write(message)) await once(call, 'drain', { signal: over }).catch(() => {});
  }
}

const SHUTTING_DOWN = 'The agent is shutting down';

function refuse(call: Call<unknown>, code: status, details: string): void {
  call.emit('error', Object.assign(new Error(details), { code, details }));
}
