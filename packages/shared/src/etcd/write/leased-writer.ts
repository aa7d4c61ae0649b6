/**
 * `EtcdWriter` on a session: pooled leases, and a breaker around its calls. When etcd is seen to have gone
 * back to an older state, all leases count as lost: nobody knows which writes went with them.
 */

import { listPages } from '../read/listing.ts';
import type { PrefixEvent } from '../read/reader.ts';
import { SessionReader, type SessionReaderOptions } from '../read/session-reader.ts';
import { Breaker } from '../session/breaker.ts';
import { EtcdError } from '../session/errors.ts';
import type { Session } from '../session/session.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { LeasePool } from './lease-pool.ts';
import { RevisionHistory } from './revision-history.ts';
import type { EtcdWriter, Listing } from './writer.ts';

export interface LeasedWriterOptions extends SessionReaderOptions {
  readonly leaseTtlSeconds: number;
  readonly keysPerLease: number;
  readonly timeoutMs: number;
}

export class LeasedWriter implements EtcdWriter {
  readonly #session: Session;
  readonly #options: LeasedWriterOptions;
  readonly #reader: SessionReader;
  readonly #breaker = new Breaker();
  readonly #pool: LeasePool;
  readonly #keeper: LeaseKeeper;
  readonly #history = new RevisionHistory();
  readonly #listeners: ((keys: readonly string[]) => void)[] = [];

  constructor(session: Session, options: LeasedWriterOptions) {
    this.#session = session;
    this.#options = options;
    this.#reader = new SessionReader(session, options);
    this.#pool = new LeasePool(() => this.#grant(), options.keysPerLease);
    this.#keeper = new LeaseKeeper(session, {
      intervalMs: (options.leaseTtlSeconds * 1_000) / 3,
      random: options.random,
      ids: () => this.#pool.ids,
      connected: () => void this.#compareHistory(),
      lost: (id) => this.#lost(id),
    });
  }

  get leases(): number {
    return this.#pool.ids.length;
  }

  /** A lease that etcd has lost is replaced, and the write tried once more. */
  async put(key: string, value: Buffer | string): Promise<string> {
    const bytes = Buffer.from(value);
    const lost = await this.#pool.leaseFor(key);
    try {
      return await this.#putWith(lost, key, bytes);
    } catch (error) {
      if (!(error instanceof EtcdError) || error.kind !== 'lease-lost') throw error;
    }
    this.#lost(lost);
    return this.#putWith(await this.#pool.leaseFor(key), key, bytes);
  }

  async #putWith(lease: string, key: string, value: Buffer): Promise<string> {
    const settings = { action: `write "${key}" (${value.length} bytes)`, timeoutMs: this.#options.timeoutMs };
    const mark = this.#history.mark();
    const { header } = await this.#breaker.run(() =>
      this.#session.call(settings, ({ kv }, options) => kv.put({ key: Buffer.from(key), value, lease }, options)),
    );
    if (this.#history.wentBack(mark, header.revision, 1n)) this.#wentBack();
    return header.revision;
  }

  async delete(key: string): Promise<boolean> {
    const settings = { action: `delete "${key}"`, timeoutMs: this.#options.timeoutMs };
    const { deleted } = await this.#breaker.run(() =>
      this.#session.call(settings, ({ kv }, options) => kv.deleteRange({ key: Buffer.from(key) }, options)),
    );
    this.#pool.release(key);
    return deleted !== '0';
  }

  async list(prefix: string): Promise<Listing> {
    const entries = new Map<string, Buffer>();
    const foreign = new Set<string>();
    let revision = '0';
    for await (const page of listPages(this.#session, prefix, this.#options.pageSize)) {
      revision = page.revision;
      const own = new Set(this.#pool.ids);
      for (const { key, value, lease } of page.entries) {
        entries.set(key.toString(), value);
        if (!own.has(lease)) foreign.add(key.toString());
      }
    }
    return { revision, entries, foreign };
  }

  onKeysLost(listener: (keys: readonly string[]) => void): void {
    this.#listeners.push(listener);
  }

  get(key: string, timeoutMs?: number): Promise<{ value: Buffer; revision: string } | undefined> {
    return this.#reader.get(key, timeoutMs);
  }

  follow(prefix: string, handle: (event: PrefixEvent) => void, signal: AbortSignal): Promise<void> {
    return this.#reader.follow(prefix, handle, signal);
  }

  close(): void {
    this.#session.close();
    this.#breaker.close();
  }

  async #grant(): Promise<string> {
    const { leaseTtlSeconds, timeoutMs } = this.#options;
    const { ID } = await this.#breaker.run(() =>
      this.#session.call({ action: 'grant a lease', timeoutMs }, (connection, options) =>
        connection.grantLease(leaseTtlSeconds, options),
      ),
    );
    this.#keeper.ensureRunning();
    return ID;
  }

  /** With a new connection, since etcd may have been another one meanwhile. */
  async #compareHistory(): Promise<void> {
    const mark = this.#history.mark();
    const settings = { action: 'read the revision', timeoutMs: this.#options.timeoutMs };
    const answer = await this.#session
      .call(settings, ({ kv }, options) => kv.range({ key: Buffer.from('\0'), limit: 1 }, options))
      // The session has reported it, and the next connection or write compares again.
      .catch(() => undefined);
    if (answer && this.#history.wentBack(mark, answer.header.revision)) this.#wentBack();
  }

  #wentBack(): void {
    this.#options.logger.warn({ endpoint: this.#session.where }, 'etcd went back to an older state');
    for (const lease of this.#pool.ids) this.#lost(lease);
  }

  #lost(lease: string): void {
    const keys = this.#pool.lose(lease);
    if (keys.length === 0) return;
    this.#options.logger.warn({ lease, keys: keys.length }, 'etcd lost a lease, its keys will be written again');
    for (const listener of this.#listeners) listener(keys);
  }
}
