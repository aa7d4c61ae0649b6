/** `EtcdReader` on a session. Has no write method: the writer is built beside it, not below it. */
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { Session } from '../session/session.ts';
import { Follower } from './follower.ts';
import type { EtcdReader, PrefixEvent } from './reader.ts';

export interface SessionReaderOptions {
  readonly pageBytes: number;
  readonly random: () => number;
  readonly logger: Logger;
  readonly clock?: Clock;
}

export class SessionReader implements EtcdReader {
  readonly #session: Session;
  readonly #options: SessionReaderOptions;

  constructor(session: Session, options: SessionReaderOptions) {
    this.#session = session;
    this.#options = options;
  }

  async get(key: string, timeoutMs?: number): Promise<{ value: Buffer; revision: string } | undefined> {
    const patience = timeoutMs === undefined ? { patient: true } : { timeoutMs };
    const { kvs } = await this.#session.call({ action: `read "${key}"`, ...patience }, ({ kv }, options) =>
      kv.range({ key: Buffer.from(key) }, options),
    );
    return kvs[0] && { value: kvs[0].value, revision: kvs[0].mod_revision };
  }

  follow(prefix: string, handle: (event: PrefixEvent) => void, signal: AbortSignal): Promise<void> {
    return new Follower(this.#session, { prefix, ...this.#options }, handle).run(signal);
  }

  close(): void {
    this.#session.close();
  }
}
