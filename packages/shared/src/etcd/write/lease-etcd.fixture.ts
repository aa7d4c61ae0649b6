/**
 * For tests of the write side: an etcd in memory whose leases run out by a clock, behind a network that is as slow as the
 * test says. What a writer has sent arrives also after its death; an etcd that restarts gives every lease its whole time.
 */
import { EventEmitter } from 'node:events';
import type { FakeClock } from '../../process/clock.fixture.ts';
import type { CallOptions, Connection } from '../session/connection.ts';
import { EtcdError } from '../session/errors.ts';
import { toEtcdError } from '../session/grpc-errors.ts';
import type { CallSettings, Session } from '../session/session.ts';

interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly lease: string;
  readonly mod_revision: string;
}

interface Comparison {
  readonly key: Buffer;
  readonly value?: Buffer;
  readonly mod_revision?: string;
}

interface Operation {
  readonly request_put?: { readonly key: Buffer; readonly value: Buffer; readonly lease: string };
  readonly request_delete_range?: { readonly key: Buffer };
}

export class LeaseEtcd {
  readonly clock: FakeClock;
  readonly entries = new Map<string, Entry>();
  /** What was written, in order. */
  readonly log: string[] = [];
  revision = 1;
  /** Ms that the next message is under way. */
  delay: () => number = () => 0;
  /** An error that etcd answers a write with. */
  refuse: () => string | undefined = () => undefined;
  readonly #leases = new Map<string, { readonly ttlMs: number; endsAt: number }>();
  readonly #streams = new Set<EventEmitter>();
  #life = 0;
  #granted = 0;

  constructor(clock: FakeClock) {
    this.clock = clock;
  }

  get header() {
    return { cluster_id: '7', member_id: '1', revision: String(this.revision), raft_term: '1' };
  }

  grant(ttlSeconds: number): string {
    const id = `${++this.#granted}`;
    this.#leases.set(id, { ttlMs: ttlSeconds * 1_000, endsAt: this.clock.now() + ttlSeconds * 1_000 });
    return id;
  }

  put(key: string, value: string, lease = '0'): void {
    this.log.push(`${key}=${value}`);
    this.entries.set(key, {
      key: Buffer.from(key),
      value: Buffer.from(value),
      lease,
      mod_revision: `${++this.revision}`,
    });
  }

  delete(key: string): void {
    if (this.entries.delete(key)) this.revision++;
  }

  /** Ends what has run out. To be called whenever somebody looks. */
  expire(): void {
    for (const [id, { endsAt }] of this.#leases) if (endsAt <= this.clock.now()) this.revoke(id);
  }

  revoke(id: string): void {
    this.#leases.delete(id);
    for (const [key, { lease }] of this.entries) if (lease === id) this.delete(key);
  }

  restart(): void {
    this.expire();
    this.#life++;
    for (const lease of this.#leases.values()) lease.endsAt = this.clock.now() + lease.ttlMs;
    for (const stream of this.#streams) stream.emit('error', new Error('etcd has gone'));
    this.#streams.clear();
  }

  /** For one writer, which dies when the signal aborts. */
  session(closing: AbortController): Session {
    const connection = {
      endpoint: { url: 'http://etcd' },
      kv: {
        range: (request: { key: Buffer; range_end?: Buffer }) => this.#answer(() => this.#range(request)),
        txn: (request: { compare: Comparison[]; success: Operation[] }) => this.#answer(() => this.#txn(request)),
      },
      grantLease: (ttl: number) => this.#answer(() => ({ header: this.header, ID: this.grant(ttl) })),
      openKeepAlive: async () => this.#openKeepAlive(),
    } as unknown as Connection;
    const call = async <T>(
      { action, timeoutMs = 10_000 }: CallSettings,
      run: (of: Connection, o: CallOptions) => T,
    ) => {
      const late = Promise.withResolvers<never>();
      const cancel = this.clock.after(timeoutMs, () => late.reject(new EtcdError('unavailable', 'no answer in time')));
      const dead = () => late.reject(new EtcdError('closed', 'dead'));
      closing.signal.addEventListener('abort', dead);
      if (closing.signal.aborted) dead();
      try {
        return await Promise.race([
          run(connection, { deadline: Number.POSITIVE_INFINITY, signal: closing.signal }),
          late.promise,
        ]);
      } catch (error) {
        throw toEtcdError(error, action, 'http://etcd');
      } finally {
        cancel();
        closing.signal.removeEventListener('abort', dead);
      }
    };
    const rest = { where: 'http://etcd', closed: closing.signal, confirm: () => {}, drop: () => {} };
    return {
      ...rest,
      call,
      connection: async () => connection,
      ready: async () => {},
      close: () => closing.abort(),
    } as unknown as Session;
  }

  /** There, done, and back. What arrives at an etcd that has restarted meanwhile is lost. */
  async #answer<T>(act: () => T): Promise<T> {
    const life = this.#life;
    await this.#pass();
    if (life !== this.#life) throw new Error('etcd has gone');
    this.expire();
    const answer = act();
    await this.#pass();
    return answer;
  }

  #pass(): Promise<void> {
    const ms = this.delay();
    return new Promise((resolve) => (ms === 0 ? resolve() : void this.clock.after(ms, resolve)));
  }

  #range({ key, range_end }: { key: Buffer; range_end?: Buffer }) {
    const kvs = [...this.entries.values()]
      .filter((entry) => (range_end ? entry.key >= key && entry.key < range_end : entry.key.equals(key)))
      .toSorted((a, b) => Buffer.compare(a.key, b.key));
    return { header: this.header, kvs, more: false };
  }

  #txn({ compare, success }: { compare: Comparison[]; success: Operation[] }) {
    const refusal = this.refuse();
    if (refusal !== undefined) throw Object.assign(new Error(refusal), { code: 8 });
    const holds = compare.every(({ key, value, mod_revision }) => {
      const entry = this.entries.get(key.toString());
      return value ? entry?.value.equals(value) === true : (entry?.mod_revision ?? '0') === mod_revision;
    });
    if (!holds) return { header: this.header, succeeded: false, responses: [] };
    for (const { request_put: put } of success) {
      if (put && !this.#leases.has(put.lease)) {
        throw Object.assign(new Error('etcdserver: requested lease not found'), { code: 5 });
      }
    }
    const responses = success.map(({ request_put: put, request_delete_range: range }) => {
      const key = (put ?? range)?.key.toString() ?? '';
      const deleted = this.entries.has(key) ? '1' : '0';
      if (put) this.put(key, put.value.toString(), put.lease);
      else this.delete(key);
      return { response_delete_range: { deleted } };
    });
    return { header: this.header, succeeded: true, responses };
  }

  /** Requests arrive in the order in which they were sent, and so do answers. */
  #openKeepAlive() {
    const stream = new EventEmitter();
    this.#streams.add(stream);
    let last = Promise.resolve();
    let cancelled = false;
    const write = ({ ID }: { ID: string }) => {
      const arrived = Promise.all([last, this.#pass()]);
      last = arrived.then(async () => {
        if (!this.#streams.has(stream)) return;
        this.expire();
        const lease = this.#leases.get(ID);
        if (lease) lease.endsAt = this.clock.now() + lease.ttlMs;
        if (!cancelled) stream.emit('data', { header: this.header, ID, TTL: `${(lease?.ttlMs ?? 0) / 1_000}` });
      });
    };
    const cancel = () => {
      cancelled = true;
    };
    return Object.assign(stream, { write, cancel });
  }
}
