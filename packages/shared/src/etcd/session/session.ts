/**
 * One logical session with an etcd over many connections. Owns the current connection and replaces it when a call finds
 * it broken, each time with the next endpoint and freshly read TLS files; reports the transitions between working and
 * not working. It alone knows whether etcd answers: while it does not, calls fail at once but for one now and then, and
 * `patient` calls wait. With `pinned`, answers from another etcd cluster than the first one end the session for good:
 * revisions of two clusters cannot be compared.
 */
import type { Health } from '../../process/health.ts';
import type { Logger } from '../../process/logger.ts';
import type { EtcdConfig } from '../config.ts';
import { Breaker } from './breaker.ts';
import type { Answer, CallOptions, Connection, Dial, Header } from './connection.ts';
import { type Endpoint, parseEndpoints, readTls, shuffled } from './endpoint.ts';
import { EtcdError, isSilence } from './errors.ts';
import { toEtcdError } from './grpc-errors.ts';

export interface SessionOptions {
  readonly logger: Logger;
  readonly report: (health: Health) => void;
  readonly random: () => number;
  readonly pinned: boolean;
  readonly dial: Dial;
  /** How soon a silent etcd is asked again, in ms; default 50, and up to 10,000. */
  readonly askAgain?: { readonly first: number; readonly limit: number };
}

export interface CallSettings {
  /** For messages, as in `read "a/b"`. */
  readonly action: string;
  readonly timeoutMs?: number;
  /** Gives up the call; default: with the session. */
  readonly signal?: AbortSignal;
  /** Made again for as long as etcd does not answer. */
  readonly patient?: boolean;
}

const DEFAULT_TIMEOUT_MS = 10_000;

export class Session {
  readonly #config: EtcdConfig;
  readonly #options: SessionOptions;
  readonly #endpoints: readonly Endpoint[];
  readonly #closing = new AbortController();
  readonly #breaker: Breaker;
  #dials = 0;
  #current: { readonly dial: Promise<Connection>; connection?: Connection } | undefined;
  #clusterId: string | undefined;
  #fatal: EtcdError | undefined;
  #reported: { readonly kind: Health['kind']; readonly reason: string | undefined } | undefined;

  constructor(config: EtcdConfig, options: SessionOptions) {
    this.#config = config;
    this.#options = options;
    this.#endpoints = shuffled(parseEndpoints(config), options.random);
    this.#breaker = new Breaker({ first: 50, limit: 10_000, ...options.askAgain, random: options.random });
  }

  get where(): string {
    return this.#endpoints[Math.max(0, this.#dials - 1) % this.#endpoints.length]?.url ?? '';
  }

  /** Aborts when the session is closed, or ended by a change of the cluster. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  /** Runs one unary call; its failure is an `EtcdError`, and a broken connection is replaced for the next call. */
  async call<T extends Answer>(
    { patient = false, signal = this.closed, ...settings }: CallSettings,
    run: (connection: Connection, options: CallOptions) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      if (patient) await this.ready(signal);
      try {
        return await this.#breaker.run(() => this.#call({ ...settings, signal }, run));
      } catch (error) {
        if (!patient || !isSilence(error) || signal.aborted) throw error;
      }
    }
  }

  /** Resolves when a call is worth making, as far as is known; with the signal, and with the session, at the latest. */
  ready(signal: AbortSignal): Promise<void> {
    return this.#breaker.ready(signal);
  }

  async #call<T extends Answer>(
    { action, timeoutMs = DEFAULT_TIMEOUT_MS, signal = this.closed }: CallSettings,
    run: (connection: Connection, options: CallOptions) => Promise<T>,
  ): Promise<T> {
    let connection: Connection | undefined;
    try {
      connection = await this.connection();
      const answer = await run(connection, { deadline: Date.now() + timeoutMs, signal });
      this.confirm(answer.header);
      return answer;
    } catch (cause) {
      const error = this.#fatal ?? toEtcdError(cause, action, connection?.endpoint.url ?? this.where);
      if (error.kind === 'unavailable') this.drop(connection, error);
      if (error.kind === 'unauthorized') this.#report({ kind: 'degraded', reason: error.message });
      throw error;
    }
  }

  /** The current connection, dialled when there is none. */
  async connection(): Promise<Connection> {
    if (this.#fatal) throw this.#fatal;
    this.#current ??= { dial: this.#dial() };
    const current = this.#current;
    try {
      current.connection = await current.dial;
      return current.connection;
    } catch (error) {
      if (this.#current === current) this.#current = undefined;
      throw error;
    }
  }

  /** Every answer comes by here: it proves that the connection works, and which cluster it leads to. */
  confirm(header: Header): void {
    if (this.#fatal) throw this.#fatal;
    this.#clusterId ??= header.cluster_id;
    if (this.#options.pinned && header.cluster_id !== this.#clusterId) {
      const reason = `expected cluster id ${hex(this.#clusterId)}: current value is ${hex(header.cluster_id)}`;
      const error = new EtcdError('cluster-changed', `Cannot go on with etcd at ${this.where}: ${reason}`);
      this.#report({ kind: 'degraded', reason: error.message });
      this.#finish(error);
      throw error;
    }
    this.#breaker.heard();
    this.#report({ kind: 'ok' });
  }

  /** Gives up a broken connection; the next call dials. Does nothing when another caller already did. */
  drop(connection: Connection | undefined, reason: EtcdError): void {
    this.#report({ kind: 'degraded', reason: reason.message });
    if (!connection || this.#current?.connection !== connection) return;
    this.#current = undefined;
    connection.close();
  }

  close(): void {
    this.#finish(new EtcdError('closed', `The etcd session with ${this.where} was closed`));
  }

  #finish(error: EtcdError): void {
    if (this.#fatal) return;
    this.#fatal = error;
    this.#current?.connection?.close();
    this.#current = undefined;
    this.#breaker.close();
    this.#closing.abort(error);
  }

  async #dial(): Promise<Connection> {
    const endpoint = this.#endpoints[this.#dials++ % this.#endpoints.length];
    if (!endpoint) throw new EtcdError('config', 'Cannot dial etcd: expected at least one endpoint: there is none');
    const tls = endpoint.secure ? await readTls(this.#config.tls) : undefined;
    const connection = await this.#options.dial(endpoint, tls);
    try {
      await this.#authenticate(connection);
    } catch (error) {
      connection.close();
      throw error;
    }
    if (this.#fatal) connection.close();
    return connection;
  }

  async #authenticate(connection: Connection): Promise<void> {
    const { username, password = '' } = this.#config;
    if (!username) return;
    const options = { deadline: Date.now() + DEFAULT_TIMEOUT_MS, signal: this.closed };
    await connection.authenticate(username, password, options).catch((cause: unknown) => {
      if (String(cause).includes('authentication is not enabled')) return;
      throw toEtcdError(cause, `authenticate user "${username}"`, connection.endpoint.url);
    });
  }

  /** The log gets transitions only; `report` also gets each new reason, so that what it shows is current. */
  #report(health: Health): void {
    const reason = health.kind === 'degraded' ? health.reason : undefined;
    const before = this.#reported;
    if (this.#fatal || (before?.kind === health.kind && before.reason === reason)) return;
    this.#reported = { kind: health.kind, reason };
    this.#options.report(health);
    if (before?.kind === health.kind) return;
    if (reason !== undefined) this.#options.logger.warn({ reason }, 'etcd does not work');
    else if (before) this.#options.logger.info({ endpoint: this.where }, 'etcd works again');
  }
}

const hex = (id: string): string => BigInt(id).toString(16);
