/**
 * `EtcdWriter` on a session: pooled leases, canaries on a lease of their own, and every write behind the fence, if there
 * is one. When etcd is seen to have gone back to an older state, all leases count as lost: nobody knows which writes went
 * with them.
 */

import { type Clock, sleep } from '../../process/clock.ts';
import type { Health } from '../../process/health.ts';
import { listPages } from '../read/listing.ts';
import type { PrefixEvent } from '../read/reader.ts';
import { SessionReader, type SessionReaderOptions } from '../read/session-reader.ts';
import type { Answer, CallOptions, Connection } from '../session/connection.ts';
import { EtcdError } from '../session/errors.ts';
import type { Session } from '../session/session.ts';
import { Canaries } from './canaries.ts';
import { Fence } from './fence.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { LeasePool } from './lease-pool.ts';
import { RevisionHistory } from './revision-history.ts';
import type { EtcdWriter, Listing } from './writer.ts';

export interface LeasedWriterOptions extends SessionReaderOptions {
  readonly leaseTtlSeconds: number;
  readonly keysPerLease: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly fence: { readonly key: string; readonly holder: string } | undefined;
  /** Told when etcd refuses all writes for want of space, and when it takes them again. */
  readonly reportSpace: (health: Health) => void;
}

type Operation =
  | { readonly request_put: { readonly key: Buffer; readonly value: Buffer; readonly lease: string } }
  | { readonly request_delete_range: { readonly key: Buffer } };

/** How soon an etcd without space is tried again. */
const NO_SPACE_MS = 2_000;

export class LeasedWriter implements EtcdWriter {
  readonly fence: Fence | undefined;
  readonly #session: Session;
  readonly #options: LeasedWriterOptions;
  readonly #reader: SessionReader;
  readonly #pool: LeasePool;
  readonly #keeper: LeaseKeeper;
  readonly #canaries: Canaries;
  readonly #history = new RevisionHistory();
  readonly #listeners: ((keys: readonly string[]) => void)[] = [];
  #hasSpace = true;

  constructor(session: Session, options: LeasedWriterOptions) {
    const { clock, leaseTtlSeconds } = options;
    this.#session = session;
    this.#options = options;
    this.#reader = new SessionReader(session, options);
    this.#pool = new LeasePool(() => this.#grant(leaseTtlSeconds), options.keysPerLease);
    this.#canaries = new Canaries(
      { grant: (ttl) => this.#grant(ttl), put: (entries, lease) => this.#putAll(entries, lease) },
      clock,
    );
    this.#keeper = new LeaseKeeper(session, {
      clock,
      ttlMs: leaseTtlSeconds * 1_000,
      ids: () => this.#pool.ids,
      connected: () => void this.#compareHistory(),
      lost: (id) => this.#lost(id),
      renewed: (round) => this.#canaries.renew(round),
    });
    this.fence = options.fence && new Fence(session, { ...options.fence, clock });
  }

  get leases(): number {
    return this.#pool.ids.length;
  }

  /** A lease that etcd has lost is replaced, and the write tried once more. */
  async put(key: string, value: Buffer | string): Promise<string> {
    const bytes = Buffer.from(value);
    const lease = await this.#pool.leaseFor(key);
    try {
      return await this.#put(lease, key, bytes);
    } catch (error) {
      if (!(error instanceof EtcdError) || error.kind !== 'lease-lost') throw error;
    }
    this.#lost(lease);
    return this.#put(await this.#pool.leaseFor(key), key, bytes);
  }

  async #put(lease: string, key: string, value: Buffer): Promise<string> {
    const action = `write "${key}" (${value.length} bytes)`;
    const { header } = await this.#write(action, [{ request_put: { key: Buffer.from(key), value, lease } }]);
    return header.revision;
  }

  async #putAll(entries: ReadonlyMap<string, string>, lease: string): Promise<void> {
    const puts = [...entries].map(([key, value]) => ({
      request_put: { key: Buffer.from(key), value: Buffer.from(value), lease },
    }));
    await this.#write(`write ${[...entries.keys()].map((key) => `"${key}"`).join(', ')}`, puts);
  }

  async delete(key: string): Promise<boolean> {
    const { responses } = await this.#write(`delete "${key}"`, [{ request_delete_range: { key: Buffer.from(key) } }]);
    this.#pool.release(key);
    return responses[0]?.response_delete_range.deleted !== '0';
  }

  /** One transaction: all of it, or nothing when the fence is not ours. */
  async #write(action: string, success: Operation[]) {
    const { fence } = this;
    if (fence && !fence.tenure) throw this.#fenced(action);
    const mark = this.#history.mark();
    const answer = await this.#call(action, ({ kv }, options) =>
      kv.txn({ compare: fence ? [fence.comparison] : [], success }, options),
    );
    if (!answer.succeeded) {
      fence?.lose();
      throw this.#fenced(action);
    }
    const grew = success.some((each) => 'request_put' in each) ? 1n : 0n;
    if (this.#history.wentBack(mark, answer.header.revision, grew)) this.#wentBack();
    return answer;
  }

  /** What takes space in etcd: it shows whether there is any. */
  async #call<T extends Answer>(
    action: string,
    run: (connection: Connection, options: CallOptions) => Promise<T>,
  ): Promise<T> {
    try {
      const answer = await this.#session.call({ action, timeoutMs: this.#options.timeoutMs }, run);
      this.#reportSpace(undefined);
      return answer;
    } catch (error) {
      if (error instanceof EtcdError && error.kind === 'no-space') this.#reportSpace(error.message);
      throw error;
    }
  }

  #fenced(action: string): EtcdError {
    return new EtcdError(
      'fenced',
      `Cannot ${action} at ${this.#session.where}: expected to be the one that writes: another is`,
    );
  }

  #reportSpace(problem: string | undefined): void {
    if (this.#hasSpace === (problem === undefined)) return;
    this.#hasSpace = problem === undefined;
    if (problem === undefined) this.#options.logger.info({}, 'etcd has space again');
    else this.#options.logger.error({ reason: problem }, 'etcd has no space left and takes no writes');
    this.#options.reportSpace(problem === undefined ? { kind: 'ok' } : { kind: 'failing', reason: problem });
  }

  async list(prefix: string): Promise<Listing> {
    return this.#list(prefix, false);
  }

  async adopt(prefix: string): Promise<Listing> {
    const listing = await this.#list(prefix, true);
    this.#keeper.ensureRunning();
    return listing;
  }

  async #list(prefix: string, adopt: boolean): Promise<Listing> {
    const entries = new Map<string, Buffer>();
    const foreign = new Set<string>();
    let revision = '0';
    for await (const page of listPages(this.#session, { prefix, pageBytes: this.#options.pageBytes })) {
      revision = page.revision;
      const own = new Set(this.#pool.ids);
      for (const { key: bytes, value, lease } of page.entries) {
        const key = bytes.toString();
        entries.set(key, value);
        if (adopt && lease !== '0') this.#pool.adopt(key, lease);
        else if (!own.has(lease)) foreign.add(key);
      }
    }
    return { revision, entries, foreign };
  }

  vouch(key: string, value: string, signal: AbortSignal): Promise<void> {
    this.#canaries.set(key, value);
    return this.#keeper.renewAll(signal);
  }

  retract(key: string): void {
    this.#canaries.delete(key);
  }

  onKeysLost(listener: (keys: readonly string[]) => void): void {
    this.#listeners.push(listener);
  }

  async ready(signal: AbortSignal): Promise<void> {
    if (!this.#hasSpace) await sleep(this.#options.clock, NO_SPACE_MS, signal);
    await this.#session.ready(signal);
    await this.fence?.held(signal);
  }

  get(key: string, timeoutMs?: number): Promise<{ value: Buffer; revision: string } | undefined> {
    return this.#reader.get(key, timeoutMs);
  }

  follow(prefix: string, handle: (event: PrefixEvent) => void, signal: AbortSignal): Promise<void> {
    return this.#reader.follow(prefix, handle, signal);
  }

  close(): void {
    this.#session.close();
  }

  async #grant(ttlSeconds: number): Promise<string> {
    const { ID } = await this.#call('grant a lease', (connection, options) =>
      connection.grantLease(ttlSeconds, options),
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
    this.fence?.lose();
    this.#tellLost(this.#canaries.keys);
    for (const lease of this.#pool.ids) this.#lost(lease);
  }

  #lost(lease: string): void {
    const keys = this.#pool.lose(lease);
    if (keys.length === 0) return;
    this.#options.logger.warn({ lease, keys: keys.length }, 'etcd lost a lease, its keys will be written again');
    this.#tellLost(keys);
  }

  #tellLost(keys: readonly string[]): void {
    for (const listener of this.#listeners) listener(keys);
  }
}
