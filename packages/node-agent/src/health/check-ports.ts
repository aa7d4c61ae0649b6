/**
 * Listens where health checks are asked for, on every address of the node: opens and closes ports as the table changes,
 * and answers from the latest count. A port that is taken is tried again while all else goes on.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIPv4 } from 'node:net';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type { TableReader } from '@tombolo/shared/model/service-table.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import { serveHttp } from '@tombolo/shared/process/http.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { type Closable, persist } from '../persist.ts';
import { type Answer, answerCheck } from './answers.ts';
import { checksByPort, type HealthCheck, type Here, healthCheckOf } from './checks.ts';

export interface CheckPortsOptions {
  readonly table: Pick<TableReader, 'snapshot' | 'changesSince' | 'onChange'>;
  readonly here: Here;
  readonly healthy: () => boolean;
  readonly log: Logger;
  readonly report: (health: Health) => void;
  /** Before a port that is taken is tried again for the first time; default as in `persist`. */
  readonly firstWaitMs?: number;
}

/** Before a port is tried again: a load balancer forgets a node after two or three silent probes, ten seconds apart. */
export const LONGEST_WAIT_MS = 10_000;

/** Serves what the table asks for now and later, until it is closed. */
export const serveHealthChecks = (options: CheckPortsOptions): Closable => new CheckPorts(options);

class CheckPorts implements Closable {
  readonly #options: CheckPortsOptions;
  readonly #unsubscribe: () => void;
  readonly #checks = new Map<ServiceKey, HealthCheck>();
  readonly #servers = new Map<number, Promise<Closable>>();
  /** Why the port cannot be had. */
  readonly #taken = new Map<number, string>();
  #byPort: ReadonlyMap<number, HealthCheck> = new Map();
  #revision = -1;

  constructor(options: CheckPortsOptions) {
    this.#options = options;
    this.#catchUp();
    this.#unsubscribe = options.table.onChange(() => this.#catchUp());
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    this.#byPort = new Map();
    await Promise.all([...this.#servers.keys()].map((port) => this.#shut(port)));
  }

  #catchUp(): void {
    const { table, here } = this.#options;
    const changes = table.changesSince(this.#revision);
    if (changes === 'compacted') this.#checks.clear();
    const { revision, services } =
      changes === 'compacted' ? table.snapshot() : { revision: changes.revision, services: changes.changed };
    this.#revision = revision;
    const touched = [...services].map(([key, facts]) => this.#set(key, facts && healthCheckOf(facts, here)));
    if (changes === 'compacted' || touched.includes(true)) this.#listen();
  }

  /** Whether there is or was a health check. */
  #set(key: ServiceKey, check: HealthCheck | undefined): boolean {
    if (!check) return this.#checks.delete(key);
    this.#checks.set(key, check);
    return true;
  }

  #listen(): void {
    this.#byPort = checksByPort(this.#checks.values());
    for (const port of [...this.#servers.keys()]) if (!this.#byPort.has(port)) void this.#shut(port);
    for (const check of this.#byPort.values()) if (!this.#servers.has(check.port)) this.#open(check);
    this.#report();
  }

  #open({ port, service }: HealthCheck): void {
    const { firstWaitMs } = this.#options;
    const log = this.#options.log.child({ service, port });
    const report = (state: Health): void => {
      if (this.#servers.get(port) !== server) return;
      if (state.kind === 'degraded') this.#taken.set(port, state.reason);
      else this.#taken.delete(port);
      this.#report();
    };
    const listen = () =>
      serveHttp(`the health check of ${service}`, { port }, (request, response) =>
        this.#answer(port, request, response),
      );
    const server: Promise<Closable> = persist(listen, { log, report, firstWaitMs, longestWaitMs: LONGEST_WAIT_MS });
    this.#servers.set(port, server);
  }

  async #shut(port: number): Promise<void> {
    const server = this.#servers.get(port);
    this.#servers.delete(port);
    this.#taken.delete(port);
    await (await server)?.close();
  }

  /** Every path, as kube-proxy does: load balancers ask for what they are set up to ask. */
  #answer(port: number, { socket }: IncomingMessage, response: ServerResponse): void {
    const check = this.#byPort.get(port);
    if (!check) {
      socket.destroy();
      return;
    }
    // One socket serves both families, and gives IPv4 addresses in their mapped form.
    const family = isIPv4((socket.localAddress ?? '').replace('::ffff:', '')) ? 4 : 6;
    send(response, answerCheck(check, family, this.#options.healthy()));
  }

  #report(): void {
    const [first] = this.#taken.values();
    const reason = first && `${this.#taken.size} health checks are not answered, first: ${first}`;
    this.#options.report(reason ? { kind: 'degraded', reason } : { kind: 'ok' });
  }
}

export function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, headers).end(body);
}
