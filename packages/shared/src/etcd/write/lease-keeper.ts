/**
 * Keeps the leases of a pool alive over one stream, and learns which of them etcd has lost. The stream is always open:
 * when it breaks, the first thing after reconnecting is to ask for every lease, so an etcd that was emptied is noticed
 * at once and not at the next interval.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { backoff } from '../../process/backoff.ts';
import type { Connection, KeepAliveStream } from '../session/connection.ts';
import { EtcdError, isBeyondRepair } from '../session/errors.ts';
import { toEtcdError } from '../session/grpc-errors.ts';
import type { Session } from '../session/session.ts';

export interface LeaseKeeperOptions {
  readonly intervalMs: number;
  readonly random: () => number;
  ids(): readonly string[];
  /** A stream was opened: at first, and whenever the connection was replaced. */
  connected(): void;
  lost(id: string): void;
}

const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 5_000;

export class LeaseKeeper {
  readonly #session: Session;
  readonly #options: LeaseKeeperOptions;
  #running = false;

  constructor(session: Session, options: LeaseKeeperOptions) {
    this.#session = session;
    this.#options = options;
  }

  /** Runs until the session is closed. Called with each new lease; only the first call starts something. */
  ensureRunning(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#run(this.#session.closed);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const initial = backoff({ first: FIRST_DELAY_MS, limit: LONGEST_DELAY_MS, random: this.#options.random });
    let delay = initial;
    while (!signal.aborted) {
      let answered = false;
      try {
        await this.#keepAlive(await this.#session.connection(), signal, () => {
          answered = true;
        });
      } catch {
        // The session has reported it; a session that ended has aborted the signal.
      }
      delay = answered ? initial.next() : delay.next();
      await sleep(delay.delay, undefined, { signal }).catch(() => {});
    }
  }

  async #keepAlive(connection: Connection, signal: AbortSignal, answered: () => void): Promise<void> {
    try {
      const stream = await connection.openKeepAlive();
      this.#options.connected();
      await this.#serve(stream, signal, answered);
    } catch (cause) {
      const error = toEtcdError(cause, 'keep leases alive', connection.endpoint.url);
      if (!signal.aborted) this.#session.drop(connection, error);
      throw error;
    }
  }

  /** Resolves on abort; rejects when the stream breaks, or when etcd left a whole interval unanswered. */
  #serve(stream: KeepAliveStream, signal: AbortSignal, answered: () => void): Promise<void> {
    const unanswered = new Set<string>();
    const serving = new AbortController();
    let ticker: NodeJS.Timeout | undefined;
    const served = new Promise<void>((resolve, reject) => {
      const ask = () => {
        if (unanswered.size > 0) return reject(new EtcdError('unavailable', 'etcd did not answer for its leases'));
        for (const ID of this.#options.ids()) {
          unanswered.add(ID);
          stream.write({ ID });
        }
      };
      stream.on('error', reject).on('end', () => reject(new Error('the stream ended')));
      stream.on('data', ({ header, ID, TTL }) => {
        unanswered.delete(ID);
        answered();
        this.#confirm(header, reject);
        if (TTL === '0') this.#options.lost(ID);
      });
      if (signal.aborted) return resolve();
      signal.addEventListener('abort', () => resolve(), { once: true, signal: serving.signal });
      ticker = setInterval(ask, this.#options.intervalMs);
      ask();
    });
    return served.finally(() => {
      clearInterval(ticker);
      serving.abort();
      stream.cancel();
    });
  }

  #confirm(header: Parameters<Session['confirm']>[0], reject: (error: unknown) => void): void {
    try {
      this.#session.confirm(header);
    } catch (error) {
      if (isBeyondRepair(error)) reject(error);
      else throw error;
    }
  }
}
