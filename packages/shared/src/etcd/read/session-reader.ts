/** `EtcdReader` on a session. */
import type { Session } from '../session/session.ts';
import { Follower, type FollowerOptions } from './follower.ts';
import type { EtcdReader, PrefixEvent } from './reader.ts';

export type ReadOptions = Omit<FollowerOptions, 'prefix'>;

export class SessionReader implements EtcdReader {
  protected readonly session: Session;
  readonly #options: ReadOptions;

  constructor(session: Session, options: ReadOptions) {
    this.session = session;
    this.#options = options;
  }

  async get(key: string, timeoutMs?: number): Promise<{ value: Buffer; revision: string } | undefined> {
    const patience = timeoutMs === undefined ? { patient: true } : { timeoutMs };
    const { kvs } = await this.session.call({ action: `read "${key}"`, ...patience }, ({ kv }, options) =>
      kv.range({ key: Buffer.from(key) }, options),
    );
    return kvs[0] && { value: kvs[0].value, revision: kvs[0].mod_revision };
  }

  follow(prefix: string, handle: (event: PrefixEvent) => void, signal: AbortSignal): Promise<void> {
    return new Follower(this.session, { prefix, ...this.#options }, handle).run(signal);
  }

  close(): void {
    this.session.close();
  }
}
