/**
 * Keeps a session with one remote cluster for as long as its file is in the directory.
 *
 * R1. The end of a session withdraws nothing: only the cluster's own word, an accepted change of its id, or `remove` does.
 * R2. The backoff starts again from the beginning only after a session held.
 * R3. The log tells each reason once, however often it is tried again: a remote can be away for weeks.
 */
import type { EtcdConfig } from '@tombolo/shared/etcd/config.ts';
import type { EtcdReader } from '@tombolo/shared/etcd/read/reader.ts';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { childOf } from '@tombolo/shared/process/notifier.ts';
import { reasonOf, retry } from '@tombolo/shared/process/retry.ts';
import type { AddressLookup } from './address-lookup.ts';
import type { FairWork } from './fair-work.ts';
import { RemoteFacts, type RemoteFactsOptions } from './remote-facts.ts';
import { runSession } from './session.ts';

export type Connect = (
  config: EtcdConfig,
  options: { readonly logger: Logger; readonly report: (health: Health) => void },
) => EtcdReader;

export interface PeerOptions extends RemoteFactsOptions {
  readonly connect: Connect;
  readonly work: FairWork;
}

const BACKOFF = { first: 1_000, limit: 30_000, heldMs: 10_000 };

export class Peer {
  readonly facts: RemoteFacts;
  readonly #options: PeerOptions;
  readonly #stopping = new AbortController();
  #config: EtcdConfig | undefined;
  /** Sessions with the settings in force. */
  #sessions = new AbortController();
  #running: Promise<void> | undefined;
  #logged = '';
  #lookUp: AddressLookup | undefined;

  constructor(options: PeerOptions) {
    this.#options = options;
    this.facts = new RemoteFacts(options);
  }

  /** New settings: the session starts anew, and what is known stays. */
  setConfig(config: EtcdConfig): void {
    this.#config = config;
    this.facts.setFile(config.endpoints, '');
    this.#sessions.abort();
    this.#running ??= this.#run(this.#stopping.signal);
  }

  /** The file cannot be used; a session with earlier settings goes on. */
  setProblem(problem: string): void {
    this.facts.setFile(undefined, problem);
  }

  /** Its file is gone: all that it said is withdrawn. */
  async remove(): Promise<void> {
    await this.#stop();
    this.facts.withdrawAll();
    this.facts.close();
  }

  /** The agent stops: nothing is withdrawn. */
  async close(): Promise<void> {
    this.facts.close();
    await this.#stop();
  }

  /** Whether the cluster has a pod or a node at this address; undefined when it does not say now. */
  async hasAddress(address: IpAddress): Promise<boolean | undefined> {
    return this.#lookUp?.(address);
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted && this.#config !== undefined) {
      const config = this.#config;
      this.#sessions = childOf(stopping);
      this.#logged = '';
      await retry((signal) => this.#session(config, signal), {
        ...BACKOFF,
        signal: this.#sessions.signal,
        clock: this.#options.clock,
        failed: (error, retryMs) => this.#failed(reasonOf(error), retryMs),
      });
      this.#sessions.abort();
    }
  }

  #failed(reason: string, retryMs: number): void {
    this.facts.failed(reason);
    if (reason !== this.#logged) this.#options.log.warn({ reason, retryMs }, 'Session with cluster ended');
    this.#logged = reason;
  }

  async #session(config: EtcdConfig, sessions: AbortSignal): Promise<void> {
    const session = childOf(sessions);
    const { signal } = session;
    const { log, work, connect } = this.#options;
    this.facts.beginSession();
    try {
      const report = (health: Health): void => this.#report(health, signal);
      const reader = connect(config, { logger: debugOnly(log), report });
      signal.addEventListener('abort', () => reader.close(), { once: true });
      await runSession(reader, this.facts, work, signal, (lookUp) => {
        this.#lookUp = lookUp;
      });
    } finally {
      this.#lookUp = undefined;
      session.abort();
    }
  }

  #report(health: Health, signal: AbortSignal): void {
    if (!signal.aborted) this.facts.connection(health.kind === 'degraded' ? health.reason : '');
  }
}

/** What the reader has to say of its connection is among the facts already, and logged with them. */
function debugOnly(log: Logger): Logger {
  const debug: Logger['debug'] = (fields, msg) => log.debug(fields, msg);
  return { debug, info: debug, warn: debug, error: debug, child: (fields) => debugOnly(log.child(fields)) };
}
