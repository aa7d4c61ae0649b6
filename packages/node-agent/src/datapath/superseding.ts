/**
 * A datapath that takes over from another kind, which an earlier agent left in the kernel: socket hooks stay attached
 * when the next agent is told to use nftables alone, and would go on with what they last knew. They are read for
 * adoption, serve until the new datapath was given the whole table, and are then removed; a frontend that it cannot set
 * must not keep the others on stale hooks.
 */
import type { FrontendRoute, RouteChanges, Routes } from '@tombolo/shared/model/routes.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { ApplyReport, Datapath } from './datapath.ts';
import { joinRoutes } from './join-routes.ts';

export interface Leftover {
  readonly name: string;
  read(): Promise<readonly FrontendRoute[]>;
  remove(): void;
  /** Called now and then from then on: what connections still need is not gone yet. */
  settle(): void;
}

export class SupersedingDatapath implements Datapath {
  readonly #datapath: Datapath;
  readonly #log: Logger;
  readonly #settle: () => void;
  #leftover: Leftover | undefined;

  constructor(datapath: Datapath, leftover: Leftover, log: Logger) {
    this.#datapath = datapath;
    this.#leftover = leftover;
    this.#settle = () => leftover.settle();
    this.#log = log;
  }

  get name(): string {
    return this.#datapath.name;
  }

  async read(): Promise<readonly FrontendRoute[]> {
    const routes = await this.#datapath.read();
    return joinRoutes(routes, (await this.#leftover?.read()) ?? []);
  }

  apply(changes: RouteChanges): Promise<ApplyReport> {
    return this.#datapath.apply(changes);
  }

  verify(): Promise<string | undefined> {
    return this.#datapath.verify();
  }

  foreign(): readonly string[] {
    return this.#datapath.foreign?.() ?? [];
  }

  refresh(): Promise<boolean> {
    if (this.#leftover === undefined) this.#settle();
    return this.#datapath.refresh();
  }

  async replace(desired: Routes): Promise<ApplyReport> {
    const report = await this.#datapath.replace(desired);
    this.#removeLeftover();
    return report;
  }

  #removeLeftover(): void {
    const leftover = this.#leftover;
    if (!leftover) return;
    leftover.remove();
    this.#leftover = undefined;
    this.#log.info({ removed: leftover.name, by: this.name }, 'Took over from an earlier datapath');
  }

  close(): Promise<void> {
    return this.#datapath.close();
  }

  async destroy(): Promise<void> {
    this.#removeLeftover();
    await this.#datapath.destroy();
  }
}
