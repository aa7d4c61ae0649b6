/**
 * The seam below a session: one connection to one endpoint of an etcd, with the calls that this room makes. Messages are
 * etcd's own, reduced to the fields that are used. `etcd3-connection.ts` has the real one, `memory-etcd.fixture.ts` an
 * etcd in memory. A connection is not repaired: whoever finds it broken asks the session for the next one.
 */
import type {
  AuthClient,
  IDuplexStream,
  IKeyValue,
  ILeaseKeepAliveRequest,
  ILeaseKeepAliveResponse,
  IRangeRequest,
  IResponseHeader,
  ITxnRequest,
} from 'etcd3';
import type { Endpoint, TlsMaterial } from './endpoint.ts';

export interface CallOptions {
  /** Wall time in ms, as gRPC wants it. */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

export type Header = Readonly<Pick<IResponseHeader, 'cluster_id' | 'revision'>>;

/** Key and value are views of the message that they came in: whoever keeps one keeps the whole message. */
export type KeyValue = Readonly<Pick<IKeyValue, 'key' | 'value' | 'create_revision' | 'mod_revision' | 'lease'>>;

export interface Answer {
  readonly header: Header;
}

export interface RangeAnswer extends Answer {
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
}

export interface TxnAnswer extends Answer {
  readonly succeeded: boolean;
  readonly responses: readonly { readonly response_delete_range: { readonly deleted: string } }[];
}

export interface KeyValueCalls {
  range(request: IRangeRequest, options: CallOptions): Promise<RangeAnswer>;
  txn(request: ITxnRequest, options: CallOptions): Promise<TxnAnswer>;
}

export type AuthCalls = Pick<
  AuthClient,
  | 'authenticate'
  | 'authEnable'
  | 'roleAdd'
  | 'roleGet'
  | 'roleGrantPermission'
  | 'roleList'
  | 'userAdd'
  | 'userGet'
  | 'userGrantRole'
  | 'userList'
>;

export type KeepAliveStream = IDuplexStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>;

export interface KeyEvent {
  readonly type: 'Put' | 'Delete';
  readonly kv: KeyValue;
}

export interface WatchRequest {
  readonly key: Buffer;
  readonly range_end: Buffer;
  readonly start_revision: string;
}

export interface WatchAnswer extends Answer {
  readonly created: boolean;
  readonly canceled: boolean;
  /** `0` unless it was cancelled for a compaction: the oldest revision that is left. */
  readonly compact_revision: string;
  readonly cancel_reason: string;
  readonly events: readonly KeyEvent[];
}

export interface Connection {
  readonly endpoint: Endpoint;
  readonly kv: KeyValueCalls;
  readonly auth: AuthCalls;
  /** Later calls carry the token that this obtains. */
  authenticate(name: string, password: string, options: CallOptions): Promise<void>;
  grantLease(ttlSeconds: number, options: CallOptions): Promise<Answer & { readonly ID: string }>;
  openKeepAlive(): Promise<KeepAliveStream>;
  /** Throws when the stream breaks; ends, one way or the other, soon after the signal aborts. */
  watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchAnswer, void, undefined>;
  /** Streams that are open on it go on until they are cancelled. */
  close(): void;
}

export type Dial = (endpoint: Endpoint, tls: TlsMaterial | undefined) => Connection | Promise<Connection>;
