/**
 * The server streams that are open. Each runs until its messages end, its caller leaves, or the agent shuts down; then
 * callers are told UNAVAILABLE, which clients take as "connect again".
 */
import { type ServerWritableStream, status } from '@grpc/grpc-js';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { sendStream } from './send-stream.ts';

type Call<Message> = ServerWritableStream<unknown, Message>;
type Messages<Message> = AsyncIterable<Message> | Iterable<Message>;

export interface StreamBody<Message> {
  readonly messages: Messages<Message>;
  /** Called once, when the stream is over for whatever reason; must make `messages` end. */
  close?(): void;
}

export class OpenStreams {
  readonly #log: Logger;
  readonly #running = new Set<AbortController>();
  #draining = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  get size(): number {
    return this.#running.size;
  }

  /** Opens the body and sends it. Never rejects: what goes wrong ends the call with a status. */
  async run<Message>(call: Call<Message>, open: () => StreamBody<Message>): Promise<void> {
    if (this.#draining) return refuse(call, status.UNAVAILABLE, SHUTTING_DOWN);
    const over = new AbortController();
    const body = open();
    over.signal.addEventListener('abort', () => body.close?.(), { once: true });
    const leave = (): void => over.abort();
    call.on('cancelled', leave);
    this.#running.add(over);
    try {
      await sendStream(call, body.messages, over.signal);
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

const SHUTTING_DOWN = 'The agent is shutting down';

function refuse(call: Call<unknown>, code: status, details: string): void {
  call.emit('error', Object.assign(new Error(details), { code, details }));
}
