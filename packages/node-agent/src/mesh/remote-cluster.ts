/**
 * Keeps a session with one remote cluster for as long as its file is in the directory.
 *
 * R1. The end of a session withdraws nothing: only the cluster's own word, a change of its id, or `remove` does.
 * R2. The backoff starts again from the beginning only after a session held.
 * R3. The log tells each reason once, however often it is tried again: a remote can be away for weeks.
 */
import type { EtcdConfig } from '@tombolo/shared/etcd/config.ts';
import type { EtcdReader } from '@tombolo/shared/etcd/read/reader.ts';
import { type Backoff, backoff } from '@tombolo/shared/process/backoff.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { RemoteFacts, type RemoteFactsOptions } from './remote-facts.ts';
import { runSession } from './session.ts';
import { childOf } from './tasks.ts';

export type Connect = (
  config: EtcdConfig,
  options: { readonly logger: Logger; readonly report: (health: Health) => void },
) => EtcdReader;

export interface RemoteClusterOptions extends RemoteFactsOptions {
  readonly connect: Connect;
}

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;
const HELD_MS = 10_000;

export class RemoteCluster {
  readonly facts: RemoteFacts;
  readonly #options: RemoteClusterOptions;
  readonly #stopping = new AbortController();
  #config: EtcdConfig | undefined;
  #attempt = new AbortController();
  #running: Promise<void> | undefined;
  #logged = '';

  constructor(options: RemoteClusterOptions) {
    this.#options = options;
    this.facts = new RemoteFacts(options);
  }

  /** New settings: the session starts anew, and what is known stays. */
  setConfig(config: EtcdConfig): void {
    this.#config = config;
    this.facts.setFile(config.endpoints, '');
    this.#attempt.abort();
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

  async #stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(stopping: AbortSignal): Promise<void> {
    let delay = firstDelay();
    while (!stopping.aborted && this.#config !== undefined) {
      this.#attempt = childOf(stopping);
      const { signal } = this.#attempt;
      const started = this.#options.clock.now();
      const error = await this.#session(this.#config, signal);
      if (signal.aborted || this.#options.clock.now() - started >= HELD_MS) {
        delay = firstDelay();
        this.#logged = '';
      }
      if (!signal.aborted) {
        this.#failed(error, delay.delay);
        await this.#options.clock.sleep(delay.delay, signal);
        delay = delay.next();
      }
      this.#attempt.abort();
    }
  }

  #failed(error: unknown, retryMs: number): void {
    const reason = error instanceof Error ? error.message : `The session ended: ${error}`;
    this.facts.failed(reason);
    if (reason !== this.#logged) this.#options.log.warn({ reason, retryMs }, 'Session with cluster ended');
    this.#options.log.debug({ error, retryMs }, 'Session will be opened again');
    this.#logged = reason;
  }

  async #session(config: EtcdConfig, signal: AbortSignal): Promise<unknown> {
    this.facts.beginSession();
    let reader: EtcdReader;
    try {
      reader = this.#options.connect(config, {
        logger: whispering(this.#options.log),
        report: (health) => this.#report(health, signal),
      });
    } catch (error) {
      return error;
    }
    const close = () => reader.close();
    signal.addEventListener('abort', close, { once: true });
    try {
      return await runSession(reader, this.facts, signal);
    } finally {
      signal.removeEventListener('abort', close);
      reader.close();
    }
  }

  #report(health: Health, signal: AbortSignal): void {
    if (!signal.aborted) this.facts.connection(health.kind === 'degraded' ? health.reason : '');
  }
}

/** What the reader has to say of its connection is among the facts already, and logged with them. */
function whispering(log: Logger): Logger {
  const debug: Logger['debug'] = (fields, msg) => log.debug(fields, msg);
  return { debug, info: debug, warn: debug, error: debug, child: (fields) => whispering(log.child(fields)) };
}

const firstDelay = (): Backoff => backoff({ first: FIRST_DELAY_MS, limit: LONGEST_DELAY_MS });
