/** One watch over HTTP, as a list of events that a test can wait on. */
import { get, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import type { KubeObject } from '@tombolo/small-kubernetes/api/objects.ts';

export interface WatchEvent {
  readonly type: string;
  readonly object: KubeObject & { readonly code?: number; readonly reason?: string };
  /** When the line was complete, by `performance.now()`. */
  readonly at: number;
}

export class WatchStream {
  readonly events: WatchEvent[] = [];
  readonly #response: IncomingMessage;
  readonly ended: Promise<void>;
  #wake: () => void = () => {};
  #done = false;

  private constructor(response: IncomingMessage) {
    this.#response = response;
    const lines = createInterface({ input: response });
    lines.on('line', (line) => {
      this.events.push({ ...(JSON.parse(line) as WatchEvent), at: performance.now() });
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      lines.once('close', () => {
        this.#done = true;
        this.#wake();
        resolve();
      });
    });
  }

  static async open(url: string, path: string): Promise<WatchStream> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(new URL(path, url), { agent: false }, resolve).once('error', reject);
    });
    return new WatchStream(response);
  }

  get status(): number {
    return this.#response.statusCode ?? 0;
  }

  /** The events so far, once there are this many. Rejects when the stream ends before. */
  async atLeast(count: number): Promise<readonly WatchEvent[]> {
    while (this.events.length < count) {
      if (this.#done) throw new Error(`Cannot wait for ${count} events: the watch ended after ${this.events.length}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.events;
  }

  close(): void {
    this.#response.destroy();
  }
}

/** `ADDED a`, for comparing. */
export const told = (events: readonly WatchEvent[]): string[] =>
  events.map(({ type, object }) => `${type} ${object.metadata?.name ?? object.code ?? ''}`.trim());
