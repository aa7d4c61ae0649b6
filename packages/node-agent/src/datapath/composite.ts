/**
 * Two datapaths as one: `sockets` for connections that begin on this node, `packets` for what arrives at it. Sockets are
 * programmed first; what goes wrong with packets is reported for the frontends concerned and does not hold sockets up.
 */
import type { RouteChanges, Routes } from '@tombolo/shared/model/routes.ts';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { ApplyReport, Datapath, KernelRoute } from './datapath.ts';

export class CompositeDatapath implements Datapath {
  readonly name: string;
  readonly #sockets: Datapath;
  readonly #packets: Datapath;
  readonly #log: Logger;

  constructor(sockets: Datapath, packets: Datapath, log: Logger) {
    this.name = `${sockets.name}+${packets.name}`;
    this.#sockets = sockets;
    this.#packets = packets;
    this.#log = log;
  }

  /** Both hold the same Services; the second is asked only when the first has none, since listing packets is slow. */
  async read(): Promise<readonly KernelRoute[]> {
    const routes = await this.#sockets.read();
    if (routes.length > 0) return routes;
    try {
      return await this.#packets.read();
    } catch (error) {
      this.#log.warn({ error, datapath: this.#packets.name }, 'Cannot read one half of the datapath');
      return routes;
    }
  }

  apply(changes: RouteChanges): Promise<ApplyReport> {
    return this.#both(changes, (half) => half.apply(changes));
  }

  replace(desired: Routes): Promise<ApplyReport> {
    return this.#both(desired, (half) => half.replace(desired));
  }

  close(): Promise<void> {
    return this.#each('close', (half) => half.close());
  }

  destroy(): Promise<void> {
    return this.#each('destroy', (half) => half.destroy());
  }

  async #both(services: RouteChanges, program: (half: Datapath) => Promise<ApplyReport>): Promise<ApplyReport> {
    const first = await program(this.#sockets);
    const second = await this.#programPackets(services, program);
    return { changed: Math.max(first.changed, second.changed), failures: [...first.failures, ...second.failures] };
  }

  async #programPackets(
    services: RouteChanges,
    program: (half: Datapath) => Promise<ApplyReport>,
  ): Promise<ApplyReport> {
    const { name } = this.#packets;
    try {
      const report = await program(this.#packets);
      return { ...report, failures: report.failures.map((f) => ({ ...f, reason: `${name}: ${f.reason}` })) };
    } catch (error) {
      this.#log.error({ error, datapath: name }, 'Cannot program one half of the datapath');
      const reason = `${name}: ${error instanceof Error ? error.message : String(error)}`;
      return { changed: 0, failures: frontendsOf(services).map((frontend) => ({ frontend, reason })) };
    }
  }

  /** The failure of one half does not spare the other. */
  async #each(what: string, act: (half: Datapath) => Promise<void>): Promise<void> {
    const failures: unknown[] = [];
    for (const half of [this.#packets, this.#sockets]) {
      try {
        await act(half);
      } catch (cause) {
        failures.push(new Error(`Cannot ${what} datapath ${half.name}`, { cause }));
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, `Cannot ${what} datapath ${this.name}`);
  }
}

const frontendsOf = (services: RouteChanges): readonly Frontend[] =>
  [...services.values()].flatMap((routes) => (routes ?? []).flatMap((route) => route.frontends));
