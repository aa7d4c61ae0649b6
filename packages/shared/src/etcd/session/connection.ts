/**
 * One dialled etcd endpoint, and the only file that imports `etcd3`. It uses etcd3's RPC clients on etcd3's connection
 * pool of one host, and none of what etcd3 builds on top: its watcher moves the resume revision when a watch is merely
 * created, so a reconnect during a replay loses events; its breaker and retries would hide a dead etcd from the callers
 * here, who have their own. A connection is not repaired: whoever finds it broken asks the session for the next one.
 */
import {
  AuthClient,
  Etcd3,
  type ICallable,
  type IDuplexStream,
  type ILeaseGrantResponse,
  type ILeaseKeepAliveRequest,
  type ILeaseKeepAliveResponse,
  type IWatchRequest,
  type IWatchResponse,
  KVClient,
  LeaseClient,
  WatchClient,
} from 'etcd3';
import type { Endpoint, TlsMaterial } from './endpoint.ts';
import { EtcdError } from './errors.ts';

export type { AuthClient, IEvent, IKeyValue, IRangeResponse, IResponseHeader, IWatchResponse } from 'etcd3';
export type WatchStream = IDuplexStream<IWatchRequest, IWatchResponse>;
export type KeepAliveStream = IDuplexStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>;

type Callable = ICallable<unknown>;
type Service = Parameters<Callable['exec']>[0];
export type CallOptions = NonNullable<Parameters<Callable['exec']>[3]> & { readonly signal?: AbortSignal };
type StreamContext = Parameters<Parameters<Callable['withConnection']>[1]>[0];
type UnaryMethods = Record<
  string,
  (
    payload: unknown,
    metadata: StreamContext['metadata'],
    options: CallOptions,
    done: (error: Error | null, response: unknown) => void,
  ) => { cancel(): void }
>;

const KEEPALIVE_TIME_MS = 15_000;
const KEEPALIVE_TIMEOUT_MS = 25_000;
/** A page or a batch of events above it fails as too large, instead of filling the memory. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

let dials = 0;

/** etcd3's client, opened just far enough to run calls on its connection pool. */
class Pool extends Etcd3 {
  /** `call` must not reject: the pool would close the connection under everybody else's calls. */
  run<R>(service: Service, call: (context: StreamContext) => R | Promise<R>): Promise<R> {
    return this.pool.withConnection(service, call);
  }
}

export class Connection {
  readonly endpoint: Endpoint;
  readonly kv: KVClient;
  readonly auth: AuthClient;
  readonly #lease: LeaseClient;
  readonly #watch: WatchClient;
  readonly #pool: Pool;
  #token: string | undefined;

  constructor(endpoint: Endpoint, tls: TlsMaterial | undefined) {
    this.endpoint = endpoint;
    this.#pool = new Pool(poolOptions(endpoint, tls));
    const callable = this.#callable();
    this.kv = new KVClient(callable);
    this.#lease = new LeaseClient(callable);
    this.#watch = new WatchClient(callable);
    this.auth = new AuthClient(callable);
  }

  /** Later calls carry the token that this obtains. */
  async authenticate(name: string, password: string, options: CallOptions): Promise<void> {
    const { token } = await this.auth.authenticate({ name, password }, options);
    this.#token = token;
  }

  grantLease(ttlSeconds: number, options: CallOptions): Promise<ILeaseGrantResponse> {
    return this.#lease.leaseGrant({ TTL: ttlSeconds }, options);
  }

  openKeepAlive(): Promise<KeepAliveStream> {
    return this.#lease.leaseKeepAlive();
  }

  openWatch(): Promise<WatchStream> {
    return this.#watch.watch();
  }

  /** Streams that are open on it go on until they are cancelled. */
  close(): void {
    this.#pool.close();
  }

  #callable(): Callable {
    return {
      callOptionsFactory: undefined,
      markFailed: () => {},
      exec: (service, method, payload, options) => this.#unary(service, method, payload, options ?? {}),
      withConnection: (service, open) => this.#pool.run(service, (context) => open(this.#stamped(service, context))),
    };
  }

  async #unary<T>(service: Service, method: string, payload: unknown, settings: CallOptions): Promise<T> {
    const { signal, ...options } = settings;
    const answer = await this.#pool.run(service, (context) => {
      const { client, metadata } = this.#stamped(service, context);
      return new Promise<{ error: Error } | { response: T }>((resolve) => {
        const settled = new AbortController();
        const call = (client as unknown as UnaryMethods)[method]?.call(
          client,
          payload,
          metadata,
          options,
          (error, response) => {
            settled.abort();
            resolve(error ? { error: signal?.aborted ? stopped(method) : error } : { response: response as T });
          },
        );
        if (signal?.aborted) call?.cancel();
        else signal?.addEventListener('abort', () => call?.cancel(), { once: true, signal: settled.signal });
      });
    });
    if ('error' in answer) throw answer.error;
    return answer.response;
  }

  /** A watch on a member that lost its leader ends, instead of staying silent. */
  #stamped(service: Service, context: StreamContext): StreamContext {
    if (this.#token !== undefined) context.metadata.set('token', this.#token);
    if (service === 'Watch') context.metadata.set('hasleader', 'true');
    return context;
  }
}

function stopped(method: string): EtcdError {
  return new EtcdError('closed', `The ${method} call was given up by its caller`);
}

function poolOptions({ secure, target, serverName }: Endpoint, tls: TlsMaterial | undefined) {
  return {
    hosts: target,
    ...(secure &&
      tls && {
        credentials: {
          rootCertificate: tls.ca,
          ...(tls.cert && tls.key && { certChain: tls.cert, privateKey: tls.key }),
        },
      }),
    grpcOptions: {
      'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.keepalive_permit_without_calls': 0,
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': -1,
      'grpc.enable_retries': 0,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      ...(serverName !== undefined && {
        'grpc.ssl_target_name_override': serverName,
        'grpc.default_authority': serverName,
      }),
      // gRPC shares sockets, and the waiting time after a refused one, between channels of equal options. The services of
      // one connection shall share a socket; a new connection shall not wait for what an old one ran into.
      'tombolo.dial': ++dials,
    },
  };
}
