/**
 * Keeps leases alive over one stream, in rounds: each asks for all leases, and a third of the shortest time to live later
 * the next begins. Learns which of them etcd has lost. The stream is always open: when it breaks, the first thing after
 * reconnecting is a round, so an etcd that was emptied is noticed at once.
 */
import type { Clock } from '../../process/clock.ts';
import { childOf, Notifier } from '../../process/notifier.ts';
import { AGAIN, retry } from '../../process/retry.ts';
import type { KeepAliveStream } from '../session/connection.ts';
import { EtcdError } from '../session/errors.ts';
import { toEtcdError } from '../session/grpc-errors.ts';
import type { Session } from '../session/session.ts';

/** Every lease was renewed: none ends sooner than `ttlMs` after `since`, if etcd lets it live. */
export interface Round {
  /** 1 for the first that began. */
  readonly number: number;
  /** By the clock, before anything was asked. */
  readonly since: number;
  readonly ttlMs: number;
}

export interface LeaseKeeperOptions {
  readonly clock: Clock;
  /** Of leases that are granted here; those that were found say their own. */
  readonly ttlMs: number;
  ids(): readonly string[];
  /** A stream was opened: at first, and whenever the connection was replaced. */
  connected?(): void;
  lost(id: string): void;
  /** After each round in which no lease was missing. When it rejects, the next round comes soon. */
  renewed?(round: Round): Promise<void>;
}

const RETRY = { first: 50, limit: 5_000, heldMs: 5_000 };
const ANSWER_MS = 10_000;
const AFTER_FAILURE_MS = 500;

export class LeaseKeeper {
  readonly #session: Session;
  readonly #options: LeaseKeeperOptions;
  readonly #asked = new Notifier();
  readonly #answered = new Notifier();
  readonly #done = new Notifier();
  readonly #unanswered = new Set<string>();
  #shortestMs: number;
  #complete = true;
  #begun = 0;
  /** The last round in which all went well. */
  #renewed = 0;
  #running = false;

  constructor(session: Session, options: LeaseKeeperOptions) {
    this.#session = session;
    this.#options = options;
    this.#shortestMs = options.ttlMs;
  }

  /** How many rounds have begun: the leases of now are asked for in those with a higher number. */
  get begun(): number {
    return this.#begun;
  }

  /** Runs until the session is closed. Called with each new lease; only the first call starts something. */
  ensureRunning(): void {
    if (this.#running) return;
    this.#running = true;
    const { closed } = this.#session;
    void retry(() => this.#keepAlive(closed), { ...RETRY, signal: closed, clock: this.#options.clock });
  }

  /** Has a round begin as soon as the one under way has ended: for leases of which nobody knows how long they still live. */
  renewSoon(): void {
    this.ensureRunning();
    this.#asked.notify();
  }

  /** Resolves when all leases were renewed after this call, and `renewed` has resolved; or when the signal aborts. */
  async renewAll(signal: AbortSignal): Promise<void> {
    const before = this.#begun;
    this.renewSoon();
    await this.#done.until(() => this.#renewed > before, signal);
  }

  /** Until the signal aborts, the stream breaks, or etcd leaves a round unanswered. */
  async #keepAlive(signal: AbortSignal): Promise<typeof AGAIN> {
    const { clock, connected } = this.#options;
    const connection = await this.#session.connection();
    const serving = childOf(signal);
    let stream: KeepAliveStream | undefined;
    try {
      stream = await connection.openKeepAlive();
      this.#listen(stream, serving);
      if (!signal.aborted) connected?.();
      while (!serving.signal.aborted) {
        const { version } = this.#asked;
        const began = clock.now();
        const next = (await this.#round(stream, began, serving)) ? this.#shortestMs / 3 : AFTER_FAILURE_MS;
        await this.#asked.changedWithin(version, Math.max(0, began + next - clock.now()), clock, serving.signal);
      }
      throw serving.signal.reason;
    } catch (cause) {
      const error = toEtcdError(cause, 'keep leases alive', connection.endpoint.url);
      if (!signal.aborted) this.#session.drop(connection, error);
    } finally {
      stream?.cancel();
      serving.abort();
    }
    return AGAIN;
  }

  #listen(stream: KeepAliveStream, serving: AbortController): void {
    stream.on('error', (cause) => serving.abort(cause)).on('end', () => serving.abort(new Error('the stream ended')));
    stream.on('data', ({ header, ID, TTL }) => {
      try {
        this.#session.confirm(header);
        this.#hear(ID, Number(TTL) * 1_000);
      } catch (error) {
        serving.abort(error);
      }
    });
  }

  /** True when all went well. */
  async #round(stream: KeepAliveStream, since: number, serving: AbortController): Promise<boolean> {
    const { clock, ids, ttlMs, renewed } = this.#options;
    const number = ++this.#begun;
    this.#complete = true;
    this.#shortestMs = ttlMs;
    this.#unanswered.clear();
    for (const ID of ids()) {
      this.#unanswered.add(ID);
      stream.write({ ID });
    }
    const late = new EtcdError('unavailable', 'etcd did not answer for its leases');
    const cancel = clock.after(ANSWER_MS, () => serving.abort(late));
    await this.#answered.until(() => this.#unanswered.size === 0, serving.signal);
    cancel();
    if (!this.#complete || serving.signal.aborted) return false;
    try {
      await renewed?.({ number, since, ttlMs: this.#shortestMs });
    } catch {
      return false;
    }
    if (serving.signal.aborted) return false;
    this.#renewed = number;
    this.#done.notify();
    return true;
  }

  #hear(id: string, ttlMs: number): void {
    if (ttlMs > 0) this.#shortestMs = Math.min(this.#shortestMs, ttlMs);
    else {
      this.#complete = false;
      this.#options.lost(id);
    }
    this.#unanswered.delete(id);
    if (this.#unanswered.size === 0) this.#answered.notify();
  }
}
