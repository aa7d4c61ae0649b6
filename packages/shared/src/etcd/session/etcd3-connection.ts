/**
 * A dialled etcd endpoint, and the only file that runs code of `etcd3`: its typed RPC stubs on its clients of one host.
 * Nothing of what etcd3 builds above those is used. Its pool repeats calls and hides a dead etcd from callers who decide
 * that themselves; its watcher moves the resume revision when a watch is merely created, so a reconnect during a replay
 * loses events.
 */
import {
  type ChannelOptions,
  type Client,
  credentials,
  type CallOptions as GrpcCallOptions,
  Metadata,
} from '@grpc/grpc-js';
import { Host } from 'etcd3/lib/connection-pool.js';
import { AuthClient, type ICallable, KVClient, LeaseClient } from 'etcd3/lib/rpc.js';
import { decodeRangeAnswer, decodeWatchAnswer } from './answer-decoder.ts';
import type { CallOptions, Connection, KeepAliveStream, WatchAnswer, WatchRequest } from './connection.ts';
import type { Endpoint, TlsMaterial } from './endpoint.ts';
import { EtcdError } from './errors.ts';

type Service = Parameters<Host['getServiceClient']>[0];

let dials = 0;

export class Etcd3Connection implements Connection {
  readonly endpoint: Endpoint;
  readonly kv: Connection['kv'];
  readonly auth: AuthClient;
  readonly #lease: LeaseClient;
  readonly #host: Host;
  #token: string | undefined;

  constructor(endpoint: Endpoint, tls: TlsMaterial | undefined) {
    this.endpoint = endpoint;
    const secured = tls && endpoint.secure && credentials.createSsl(tls.ca, tls.key, tls.cert);
    this.#host = new Host(endpoint.target, secured || credentials.createInsecure(), channelOptions(endpoint));
    const calls: ICallable<Host> = {
      callOptionsFactory: undefined,
      markFailed: () => {},
      exec: (service, method, payload, options) => this.#unary(service, method, payload, options),
      withConnection: async (service, open) =>
        open({ resource: this.#host, client: this.#host.getServiceClient(service), metadata: this.#metadata() }),
    };
    this.kv = new KVClient(calls);
    this.auth = new AuthClient(calls);
    this.#lease = new LeaseClient(calls);
  }

  async authenticate(name: string, password: string, options: CallOptions): Promise<void> {
    const { token } = await this.auth.authenticate({ name, password }, options);
    this.#token = token;
  }

  grantLease(ttlSeconds: number, options: CallOptions): ReturnType<Connection['grantLease']> {
    return this.#lease.leaseGrant({ TTL: ttlSeconds }, options);
  }

  openKeepAlive(): Promise<KeepAliveStream> {
    return this.#lease.leaseKeepAlive();
  }

  async *watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchAnswer, void, undefined> {
    signal.throwIfAborted();
    const client = this.#host.getServiceClient('Watch');
    const { path, requestSerialize } = definitionOf(client, 'watch');
    const metadata = this.#metadata();
    // A watch on a member that lost its leader ends, instead of staying silent.
    metadata.set('hasleader', 'true');
    const stream = client.makeBidiStreamRequest<object, WatchAnswer>(
      path,
      requestSerialize,
      decodeWatchAnswer,
      metadata,
    );
    // Cancelling makes the stream fail once more.
    stream.on('error', () => {});
    const cancel = (): void => stream.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      stream.write({ create_request: request });
      for await (const answer of stream) yield answer;
    } finally {
      signal.removeEventListener('abort', cancel);
      cancel();
    }
  }

  close(): void {
    this.#host.close();
  }

  #unary<T>(service: Service, method: string, payload: unknown, options: GrpcCallOptions = {}): Promise<T> {
    const signal = 'signal' in options && options.signal instanceof AbortSignal ? options.signal : undefined;
    const client = this.#host.getServiceClient(service);
    const { path, requestSerialize, responseDeserialize } = definitionOf(client, method);
    // Its entries come by the thousand.
    const decode = path === '/etcdserverpb.KV/Range' ? decodeRangeAnswer : responseDeserialize;
    return new Promise((resolve, reject) => {
      const settled = new AbortController();
      const call = client.makeUnaryRequest<unknown, T>(
        path,
        requestSerialize,
        decode,
        payload,
        this.#metadata(),
        options,
        (error, answer) => {
          settled.abort();
          if (error) reject(signal?.aborted ? new EtcdError('closed', `The ${method} call was given up`) : error);
          else if (answer !== undefined) resolve(answer);
        },
      );
      if (signal?.aborted) call.cancel();
      else signal?.addEventListener('abort', () => call.cancel(), { once: true, signal: settled.signal });
    });
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    if (this.#token !== undefined) metadata.set('token', this.#token);
    return metadata;
  }
}

/** gRPC's description of a method, as it hangs on the stub's function of that name. */
const definitionOf = (client: Client, method: string) => Reflect.get(client, method);

function channelOptions({ serverName }: Endpoint): ChannelOptions {
  return {
    'grpc.keepalive_time_ms': 15_000,
    'grpc.keepalive_timeout_ms': 25_000,
    'grpc.keepalive_permit_without_calls': 0,
    // A page or a batch of events above it fails as too large, instead of filling the memory.
    'grpc.max_receive_message_length': 64 * 1024 * 1024,
    'grpc.max_send_message_length': -1,
    // A page under way at once: with HTTP/2's 64 kB it comes in as many round trips as it has such pieces.
    'grpc-node.flow_control_window': 2 * 1024 * 1024,
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
  };
}
