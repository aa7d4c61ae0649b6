/**
 * `EtcdWriter` on a session: a reader with pooled leases, canaries on a lease of their own, and every write behind the
 * fence, if there is one. When etcd is seen to have gone back to an older state, all leases count as lost: nobody knows
 * which writes went with them.
 *
 * Canaries must never outlive what they vouch for. Their lease ends, at every moment, before the leases of all entries:
 *
 * 1. It is not kept alive but granted anew after each round of the keeper, for two thirds of the shortest time to live.
 *    A request to keep a lease alive that is delivered late, after its sender's death, would move the end; a late grant
 *    is a lease without keys, and a late write cannot move the end of the lease that it names.
 * 2. It is used only when its grant was answered within a quarter of that time since the round began. So it ends eleven
 *    twelfths after the beginning, at the latest, and the others a whole after it, at the earliest.
 * 3. Only a round that began after all of that was written or taken over counts: what is taken over may be near its end.
 * 4. An etcd that restarts gives every lease its whole time again, which keeps that order.
 */
import type { IRequestOp } from 'etcd3';
import { sleep } from '../../process/clock.ts';
import type { Health } from '../../process/health.ts';
import { listPages } from '../read/listing.ts';
import { type ReadOptions, SessionReader } from '../read/session-reader.ts';
import type { Answer, CallOptions, Connection } from '../session/connection.ts';
import { EtcdError } from '../session/errors.ts';
import type { Session } from '../session/session.ts';
import { Fence } from './fence.ts';
import { LeaseKeeper, type Round } from './lease-keeper.ts';
import { LeasePool } from './lease-pool.ts';
import { RevisionHistory } from './revision-history.ts';
import type { EtcdWriter, LeasedEntries } from './writer.ts';

export interface LeasedWriterOptions extends ReadOptions {
  readonly leaseTtlSeconds: number;
  readonly keysPerLease: number;
  readonly timeoutMs: number;
  readonly fence: { readonly key: string; readonly holder: string } | undefined;
  /** Told when etcd refuses all writes for want of space, and when it takes them again. */
  readonly reportSpace: (health: Health) => void;
}

/** How soon an etcd without space is tried again. */
const NO_SPACE_MS = 2_000;

export class LeasedWriter extends SessionReader implements EtcdWriter {
  readonly fence: Fence | undefined;
  readonly #options: LeasedWriterOptions;
  readonly #pool: LeasePool;
  readonly #keeper: LeaseKeeper;
  /** With how many rounds had begun when it was vouched for. */
  readonly #canaries = new Map<string, { readonly value: string; readonly begun: number }>();
  readonly #history = new RevisionHistory();
  readonly #listeners: ((keys: readonly string[]) => void)[] = [];
  #hasSpace = true;

  constructor(session: Session, options: LeasedWriterOptions) {
    super(session, options);
    const { clock, leaseTtlSeconds } = options;
    this.#options = options;
    this.#pool = new LeasePool(() => this.#grantForEntries(leaseTtlSeconds), options.keysPerLease);
    this.#keeper = new LeaseKeeper(session, {
      clock,
      ttlMs: leaseTtlSeconds * 1_000,
      ids: () => this.#pool.ids,
      connected: () => void this.#compareHistory(),
      lost: (id) => this.#lost(id),
      renewed: (round) => this.#renewCanaries(round),
    });
    this.fence = options.fence && new Fence(session, { ...options.fence, clock });
  }

  get leases(): number {
    return this.#pool.ids.length;
  }

  /** A lease that etcd has lost is replaced, and the write tried once more. */
  async put(key: string, value: Buffer | string): Promise<string> {
    const entries = new Map([[key, value]]);
    const lease = await this.#pool.leaseFor(key);
    try {
      return await this.#put(entries, lease);
    } catch (error) {
      if (!(error instanceof EtcdError) || error.kind !== 'lease-lost') throw error;
    }
    this.#lost(lease);
    return this.#put(entries, await this.#pool.leaseFor(key));
  }

  async #put(entries: ReadonlyMap<string, Buffer | string>, lease: string): Promise<string> {
    const puts = [...entries].map(([key, value]) => ({ key: Buffer.from(key), value: Buffer.from(value), lease }));
    const what = puts.map(({ key, value }) => `"${key}" (${value.length} bytes)`).join(', ');
    const { header } = await this.#write(
      `write ${what}`,
      puts.map((request_put) => ({ request_put })),
    );
    return header.revision;
  }

  async delete(key: string): Promise<boolean> {
    const { responses } = await this.#write(`delete "${key}"`, [{ request_delete_range: { key: Buffer.from(key) } }]);
    this.#pool.release(key);
    return responses[0]?.response_delete_range.deleted !== '0';
  }

  /** One transaction: all of it, or nothing when the fence is not ours. */
  async #write(action: string, success: IRequestOp[]) {
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
    const grew = success.some(({ request_put }) => request_put) ? 1n : 0n;
    if (this.#history.wentBack(mark, answer.header.revision, grew)) this.#wentBack();
    return answer;
  }

  /** What takes space in etcd: it shows whether there is any. */
  async #call<T extends Answer>(
    action: string,
    run: (connection: Connection, options: CallOptions) => Promise<T>,
  ): Promise<T> {
    try {
      const answer = await this.session.call({ action, timeoutMs: this.#options.timeoutMs }, run);
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
      `Cannot ${action} at ${this.session.where}: expected to be the one that writes: another is`,
    );
  }

  #reportSpace(problem: string | undefined): void {
    if (this.#hasSpace === (problem === undefined)) return;
    this.#hasSpace = problem === undefined;
    if (problem === undefined) this.#options.logger.info({}, 'etcd has space again');
    else this.#options.logger.error({ reason: problem }, 'etcd has no space left and takes no writes');
    this.#options.reportSpace(problem === undefined ? { kind: 'ok' } : { kind: 'failing', reason: problem });
  }

  list(prefix: string): Promise<LeasedEntries> {
    return this.#list(prefix, false);
  }

  async adopt(prefix: string): Promise<LeasedEntries> {
    const listing = await this.#list(prefix, true);
    this.#keeper.renewSoon();
    return listing;
  }

  async #list(prefix: string, adopt: boolean): Promise<LeasedEntries> {
    const entries = new Map<string, Buffer>();
    const foreign = new Set<string>();
    for await (const page of listPages(this.session, { prefix, pageBytes: this.#options.pageBytes })) {
      const own = new Set(this.#pool.ids);
      for (const { key: bytes, value, lease } of page.entries) {
        const key = bytes.toString();
        entries.set(key, value);
        if (adopt && lease !== '0') this.#pool.adopt(key, lease);
        else if (!own.has(lease)) foreign.add(key);
      }
    }
    return { entries, foreign };
  }

  vouch(key: string, value: string, signal: AbortSignal): Promise<void> {
    this.#canaries.set(key, { value, begun: this.#keeper.begun });
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
    await this.session.ready(signal);
    await this.fence?.held(signal);
  }

  async #renewCanaries({ number, since, ttlMs }: Round): Promise<void> {
    if (this.#dueIn(number).size === 0) return;
    const lease = await this.#grant(Math.floor((ttlMs * 2) / 3_000));
    if (this.#options.clock.now() - since > ttlMs / 4)
      throw new EtcdError('unavailable', 'etcd took too long to grant a lease');
    const due = this.#dueIn(number);
    if (due.size > 0) await this.#put(due, lease);
  }

  /** Canaries, not retracted, of which the round renewed all that they vouch for: it began after that was known. */
  #dueIn(round: number): ReadonlyMap<string, string> {
    const due = [...this.#canaries].filter(([, { begun }]) => begun < round);
    return new Map(due.map(([key, { value }]) => [key, value]));
  }

  /**
   * Granted while a round began, a lease may end sooner than those of the round, which did not ask for it: by as long as
   * the grant took. A twelfth of the time to live is what canaries leave.
   */
  async #grantForEntries(ttlSeconds: number): Promise<string> {
    const { begun } = this.#keeper;
    const asked = this.#options.clock.now();
    const lease = await this.#grant(ttlSeconds);
    const isInTime = this.#keeper.begun === begun || this.#options.clock.now() - asked <= (ttlSeconds * 1_000) / 12;
    return isInTime ? lease : this.#grantForEntries(ttlSeconds);
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
    const answer = await this.session
      .call(settings, ({ kv }, options) => kv.range({ key: Buffer.from('\0'), limit: 1 }, options))
      // The session has reported it, and the next connection or write compares again.
      .catch(() => undefined);
    if (answer && this.#history.wentBack(mark, answer.header.revision)) this.#wentBack();
  }

  #wentBack(): void {
    this.#options.logger.warn({ endpoint: this.session.where }, 'etcd went back to an older state');
    this.fence?.lose();
    this.#tellLost([...this.#canaries.keys()]);
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
