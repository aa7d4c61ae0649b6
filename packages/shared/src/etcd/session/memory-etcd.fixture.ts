/**
 * An etcd in memory, for tests: implements `Dial` and `Connection`, the seam below a session, so that all of this room
 * runs on it: `new Session(config, { dial: etcd.dial, ... })`. It keeps versions and leases, and
 * has the faults of etcds and networks: connections that break, an etcd that is away or silent, one that was emptied or
 * restored, compaction, refusals. Leases end when the test says so. There are no users in it.
 */
import { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ICompare, IDeleteRangeRequest, IPutRequest, IRequestOp, ITxnRequest } from 'etcd3';
import { childOf, Notifier } from '../../process/notifier.ts';
import type {
  CallOptions,
  Connection,
  Dial,
  KeepAliveStream,
  KeyEvent,
  KeyValue,
  WatchAnswer,
  WatchRequest,
} from './connection.ts';
import type { Endpoint } from './endpoint.ts';
import { EtcdError } from './errors.ts';
import { type Change, grpcError, isInside, MemoryStore } from './memory-store.fixture.ts';

export type CallName = 'range' | 'txn' | 'grant' | 'watch' | 'keep-alive';

const LARGEST_REQUEST = 1.5 * 1024 * 1024;
const bytesOf = (text: string | Buffer | undefined): Buffer =>
  text === undefined ? Buffer.alloc(0) : Buffer.from(text);

/** As each message is a buffer of its own. */
const copyOf = (kv: KeyValue): KeyValue => ({ ...kv, key: Buffer.from(kv.key), value: Buffer.from(kv.value) });

let leases = 0;

export class MemoryEtcd {
  clusterId = '7';
  /** An answer above it is one that the client refuses. */
  largestAnswer = 64 * 1024 * 1024;
  /** Live events are sent twice, as etcd 3.4 does now and then. */
  sendsTwice = false;
  /** What a call fails with, as gRPC would say it; undefined: it does not. */
  refuse: (call: CallName) => Error | undefined = () => undefined;
  /** Why etcd accepts no watch: it says so within the stream. */
  deny: (call: 'watch') => string | undefined = () => undefined;
  /** All calls that came in, and what ranges asked for. */
  readonly calls: CallName[] = [];
  readonly ranges: { readonly key: string; readonly limit: number; readonly revision: string }[] = [];
  dials = 0;
  #store = new MemoryStore();
  readonly #leases = new Set<string>();
  readonly #connections = new Set<MemoryConnection>();
  readonly #changed = new Notifier();
  #away = false;
  #silent = false;

  readonly dial: Dial = (endpoint) => {
    this.dials++;
    const connection = new MemoryConnection(this, endpoint);
    this.#connections.add(connection);
    return connection;
  };

  // What clients of others do.

  get revision(): bigint {
    return this.#store.revision;
  }

  get store(): MemoryStore {
    return this.#store;
  }

  state(prefix = ''): Map<string, string> {
    const { kvs } = this.#store.range({ key: Buffer.from([0]), range_end: Buffer.from([0]) });
    const pairs = kvs.map(({ key, value }) => [key.toString(), value.toString()] as const);
    return new Map(pairs.filter(([key]) => key.startsWith(prefix)));
  }

  put(key: string, value: string | Buffer, lease = '0'): void {
    this.apply([{ key: Buffer.from(key), value: bytesOf(value), lease }]);
  }

  delete(...keys: readonly string[]): void {
    this.apply(keys.map((key) => ({ key: Buffer.from(key), value: undefined, lease: '0' })));
  }

  compact(revision = this.revision): void {
    this.#store.compact(revision);
  }

  // What happens to an etcd, and to the network before it.

  /** All connections break, with what is under way on them. */
  cut(): void {
    const cut = [...this.#connections];
    this.#connections.clear();
    for (const connection of cut) connection.break();
    this.#changed.notify();
  }

  /** Nothing listens. */
  down(): void {
    this.#away = true;
    this.cut();
  }

  up(): void {
    this.#away = false;
  }

  /** It takes everything and answers nothing. */
  hang(): void {
    this.#silent = true;
  }

  resume(): void {
    this.#silent = false;
    this.#changed.notify();
  }

  backUp(): MemoryStore {
    return this.#store.clone();
  }

  /** Starts again, with other data; by default with none. Leases are not in a backup. */
  restart(data = new MemoryStore()): void {
    this.cut();
    this.#store = data.clone();
    this.#leases.clear();
  }

  get leases(): readonly string[] {
    return [...this.#leases];
  }

  grant(): string {
    // Ids are drawn from the clock, so that two lives of an etcd have none in common.
    const id = String(7_587_862_000_000_000_000n + BigInt(++leases));
    this.#leases.add(id);
    return id;
  }

  /** It ran out, or was revoked. */
  expire(lease: string): void {
    this.#leases.delete(lease);
    const { kvs } = this.#store.range({ key: Buffer.from([0]), range_end: Buffer.from([0]) });
    const gone = kvs.filter((kv) => kv.lease === lease);
    this.apply(gone.map(({ key }) => ({ key, value: undefined, lease: '0' })));
  }

  /** Streams on which somebody listens. */
  get watches(): number {
    return [...this.#connections].reduce((sum, { watches }) => sum + watches, 0);
  }

  /** Cancels all watches, as for somebody who has lost his permission or was too slow. */
  cancelWatches(cancel_reason: string): void {
    for (const connection of this.#connections) connection.cancelWatches(cancel_reason);
  }

  // For its connections.

  get header() {
    const revision = String(this.revision);
    return { cluster_id: this.clusterId, revision, member_id: '1', raft_term: '2' };
  }

  get silent(): boolean {
    return this.#silent;
  }

  get away(): boolean {
    return this.#away;
  }

  hasLease(id: string): boolean {
    return this.#leases.has(id);
  }

  changed(seen: number, signal: AbortSignal): Promise<void> {
    return this.#changed.changed(seen, signal);
  }

  get version(): number {
    return this.#changed.version;
  }

  apply(changes: readonly Change[]): readonly KeyEvent[] {
    const events = this.#store.apply(changes);
    if (events.length === 0) return events;
    for (const connection of this.#connections) connection.hear(events);
    return events;
  }
}

interface OpenWatch {
  readonly key: Buffer;
  readonly range_end: Buffer;
  readonly from: bigint;
  readonly answers: WatchAnswer[];
  readonly arrived: Notifier;
}

class MemoryConnection implements Connection {
  readonly endpoint: Endpoint;
  readonly #etcd: MemoryEtcd;
  readonly #watches = new Set<OpenWatch>();
  readonly #keepAlives = new Set<KeepAlive>();
  readonly #broken = new AbortController();
  #closed = false;

  constructor(etcd: MemoryEtcd, endpoint: Endpoint) {
    this.#etcd = etcd;
    this.endpoint = endpoint;
  }

  readonly auth = withoutUsers();

  async authenticate(): Promise<void> {
    await this.auth.authenticate({});
  }

  readonly kv: Connection['kv'] = {
    range: (request, options) =>
      this.#call('range', options, () => {
        const { key, limit = 0, revision = 0 } = request;
        this.#etcd.ranges.push({ key: String(key), limit: Number(limit), revision: String(revision) });
        const found = this.#etcd.store.range(request);
        const bytes = found.kvs.reduce((sum, each) => sum + each.key.length + each.value.length, 0);
        if (bytes <= this.#etcd.largestAnswer) return { ...found, kvs: found.kvs.map(copyOf) };
        throw grpcError(8, `Received message larger than max (${bytes} vs ${this.#etcd.largestAnswer})`);
      }),
    txn: (request, options) => this.#call('txn', options, () => this.#txn(request)),
  };

  grantLease(_ttlSeconds: number, options: CallOptions): ReturnType<Connection['grantLease']> {
    return this.#call('grant', options, () => ({ ID: this.#etcd.grant() }));
  }

  async openKeepAlive(): Promise<KeepAliveStream> {
    await this.#enter('keep-alive', new AbortController().signal);
    const stream = new KeepAlive(this.#etcd, () => this.#keepAlives.delete(stream));
    this.#keepAlives.add(stream);
    return stream;
  }

  async *watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchAnswer, void, undefined> {
    await this.#enter('watch', signal);
    const denial = this.#etcd.deny('watch');
    const from = BigInt(request.start_revision);
    const watch: OpenWatch = { ...request, from, answers: [], arrived: new Notifier() };
    this.#answer(watch, { created: true, canceled: denial !== undefined, cancel_reason: denial ?? '' });
    if (from < this.#etcd.store.compacted) {
      this.#answer(watch, { canceled: true, compact_revision: String(this.#etcd.store.compacted) });
    }
    for (const events of this.#etcd.store.since(from)) this.#hear(watch, events);
    this.#watches.add(watch);
    signal.addEventListener('abort', () => this.#watches.delete(watch), { once: true });
    try {
      for (;;) {
        const [seen, resumed] = [watch.arrived.version, this.#etcd.version];
        signal.throwIfAborted();
        this.#throwIfBroken();
        const answer = this.#etcd.silent ? undefined : watch.answers.shift();
        if (answer) yield answer;
        else if (this.#etcd.silent) await this.#etcd.changed(resumed, signal);
        else await watch.arrived.changed(seen, signal);
      }
    } finally {
      this.#watches.delete(watch);
    }
  }

  get watches(): number {
    return this.#watches.size;
  }

  cancelWatches(cancel_reason: string): void {
    for (const watch of this.#watches) this.#answer(watch, { canceled: true, cancel_reason });
  }

  close(): void {
    this.#closed = true;
  }

  break(): void {
    this.#broken.abort();
    for (const { arrived } of this.#watches) arrived.notify();
    for (const stream of this.#keepAlives) stream.emit('error', grpcError(14, 'Connection dropped'));
  }

  hear(events: readonly KeyEvent[]): void {
    for (const watch of this.#watches) {
      this.#hear(watch, events);
      if (this.#etcd.sendsTwice) this.#hear(watch, events);
    }
  }

  #hear(watch: OpenWatch, all: readonly KeyEvent[]): void {
    const events = all.filter(
      ({ kv }) => BigInt(kv.mod_revision) >= watch.from && isInside(kv.key, watch.key, watch.range_end),
    );
    if (events.length > 0) this.#answer(watch, { events: events.map(({ type, kv }) => ({ type, kv: copyOf(kv) })) });
  }

  #answer(watch: OpenWatch, answer: Partial<WatchAnswer>): void {
    const nothing = { created: false, canceled: false, compact_revision: '0', cancel_reason: '', events: [] };
    watch.answers.push({ header: this.#etcd.header, ...nothing, ...answer });
    watch.arrived.notify();
  }

  /** As on a wire, a call takes a while to arrive, and so does its answer: in both it may be lost. */
  async #call<T extends object>(name: CallName, { deadline, signal }: CallOptions, run: () => T) {
    await this.#enter(name, signal, deadline);
    const answer = { header: this.#etcd.header, ...run() };
    await nextTurn();
    this.#throwIfBroken();
    return answer;
  }

  async #enter(name: CallName, signal: AbortSignal, deadline?: number): Promise<void> {
    this.#etcd.calls.push(name);
    await nextTurn();
    if (this.#etcd.silent) await this.#waitForIt(signal, deadline);
    if (signal.aborted) throw new EtcdError('closed', `The ${name} call was given up`);
    if (this.#closed) throw grpcError(14, 'The client was closed');
    this.#throwIfBroken();
    const refusal = this.#etcd.refuse(name);
    if (refusal) throw refusal;
  }

  async #waitForIt(signal: AbortSignal, deadline?: number): Promise<void> {
    const waiting = childOf(signal);
    const expire = () => waiting.abort(grpcError(4, 'Deadline exceeded'));
    const timer = deadline === undefined ? undefined : setTimeout(expire, deadline - Date.now()).unref();
    while (this.#etcd.silent && !waiting.signal.aborted && !this.#broken.signal.aborted) {
      await this.#etcd.changed(this.#etcd.version, waiting.signal);
    }
    clearTimeout(timer);
    if (!signal.aborted) waiting.signal.throwIfAborted();
    waiting.abort();
  }

  #throwIfBroken(): void {
    if (this.#etcd.away) throw grpcError(14, 'connect ECONNREFUSED');
    if (this.#broken.signal.aborted) throw grpcError(14, 'Connection dropped');
  }

  #putOf({ key, value, lease = 0 }: IPutRequest): Change {
    const bytes = bytesOf(value);
    if (bytes.length > LARGEST_REQUEST) throw grpcError(3, 'etcdserver: request is too large');
    if (String(lease) !== '0' && !this.#etcd.hasLease(String(lease))) {
      throw grpcError(5, 'etcdserver: requested lease not found');
    }
    return { key: bytesOf(key), value: bytes, lease: String(lease) };
  }

  #deletesOf(request: IDeleteRangeRequest): Change[] {
    return this.#etcd.store.range(request).kvs.map(({ key }) => ({ key, value: undefined, lease: '0' }));
  }

  #txn({ compare = [], success = [], failure = [] }: ITxnRequest) {
    const succeeded = compare.every((each) => this.#holds(each));
    const changes = (succeeded ? success : failure).map((each) => this.#changesOf(each));
    this.#etcd.apply(changes.flat());
    const responses = changes.map((each) => ({ response_delete_range: { deleted: String(each.length) } }));
    return { header: this.#etcd.header, succeeded, responses };
  }

  #changesOf({ request_put, request_delete_range }: IRequestOp): Change[] {
    if (request_put) return [this.#putOf(request_put)];
    if (request_delete_range) return this.#deletesOf(request_delete_range);
    throw new Error('Cannot run a transaction: expected puts and deletions: anything else is not here');
  }

  #holds({
    key,
    target = 'Version',
    result = 'Equal',
    value,
    mod_revision,
    create_revision,
    lease,
  }: ICompare): boolean {
    const [found] = key ? this.#etcd.store.range({ key }).kvs : [];
    if (result !== 'Equal') throw new Error(`Cannot compare: expected "Equal": "${result}" is not here`);
    if (target === 'Value') return found?.value.equals(bytesOf(value)) ?? false;
    if (target === 'Mod') return (found?.mod_revision ?? '0') === String(mod_revision ?? 0);
    if (target === 'Create') return (found?.create_revision ?? '0') === String(create_revision ?? 0);
    if (target === 'Lease') return (found?.lease ?? '0') === String(lease ?? 0);
    throw new Error(`Cannot compare: "${target}" is not here`);
  }
}

class KeepAlive extends EventEmitter implements KeepAliveStream {
  readonly #etcd: MemoryEtcd;
  readonly #ended: () => void;

  constructor(etcd: MemoryEtcd, ended: () => void) {
    super();
    this.#etcd = etcd;
    this.#ended = ended;
  }

  write({ ID = '0' }: { ID?: string | number }): void {
    const TTL = this.#etcd.hasLease(String(ID)) ? '900' : '0';
    setImmediate(() => {
      if (!this.#etcd.silent) this.emit('data', { header: this.#etcd.header, ID: String(ID), TTL });
    });
  }

  end(): void {
    this.#ended();
  }

  cancel(): void {
    this.#ended();
  }
}

function withoutUsers(): Connection['auth'] {
  const refuse = () => Promise.reject(grpcError(9, 'etcdserver: authentication is not enabled'));
  return {
    authenticate: refuse,
    authEnable: refuse,
    roleAdd: refuse,
    roleGet: refuse,
    roleGrantPermission: refuse,
    roleList: refuse,
    userAdd: refuse,
    userGet: refuse,
    userGrantRole: refuse,
    userList: refuse,
  };
}
