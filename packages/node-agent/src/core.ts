/**
 * The agent without files, sockets, processes and signals: it takes facts about the local cluster and from the mesh into
 * the table, and what follows from them into the kernel. `compose.ts` drives it with the real parts, scenarios with parts
 * in memory.
 *
 * A1. Nothing is written, to the kernel or for the next agent, before the local sources are complete.
 * A2. The kernel is read before anything is written, so that what it has of clusters that have not spoken yet stays in use.
 * A3. What the kernel has at first is whole: everything that was known by then was merged.
 * A4. Each half of the datapath has a loop of its own: what one cannot do holds up no other.
 */

import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import { type Clock, systemClock } from '@tombolo/shared/process/clock.ts';
import type { HealthTree } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { aborted, Notifier } from '@tombolo/shared/process/notifier.ts';
import { nextTurn, SlicedWork } from '@tombolo/shared/process/slices.ts';
import type { AgentConfig } from './config.ts';
import type { Datapath } from './datapath/datapath.ts';
import { Reconciler } from './datapath/reconciler.ts';
import { adoptedClusters, servesSaved } from './table/adopted.ts';
import { MeshFacts } from './table/mesh-facts.ts';
import type { SavedState } from './table/saved-state.ts';
import { ServiceTable } from './table/service-table.ts';
import { tableHealth } from './table/table-health.ts';

export interface CoreOptions {
  readonly config: Pick<
    AgentConfig,
    'cluster' | 'nodeName' | 'scope' | 'defaultGlobalNamespace' | 'remotePerFrontend' | 'remotePerCluster'
  >;
  /** What an earlier agent left beside the kernel; undefined when it is lost. */
  readonly saved: SavedState | undefined;
  readonly log: Logger;
  readonly health: HealthTree;
  readonly clock?: Clock | undefined;
  /** This half of the datapath has that revision of the table. */
  readonly applied?: (half: string, revision: number) => void;
}

export interface CoreParts {
  readonly halves: readonly Datapath[];
  /** What the kernel serves; more of it is looked for until it is enough. */
  readonly readKernel: (isEnough: (routes: readonly FrontendRoute[]) => boolean) => Promise<readonly FrontendRoute[]>;
  /** Resolves when every local source has been listed completely. */
  readonly localSynced: Promise<void>;
  /** Keeps what the next agent should know, until the signal aborts. */
  readonly save: (signal: AbortSignal) => Promise<void>;
}

/** What other clusters said is published this often at the most, while more of it is being merged. */
const TOGETHER_MS = 1_000;

export class AgentCore {
  readonly table: ServiceTable;
  /** What the mesh tells. */
  readonly facts: MeshFacts;
  readonly #options: CoreOptions;
  readonly #merging: SlicedWork;
  readonly #applied = new Map<string, number>();
  readonly #repairs = new Map<string, number>();
  readonly #progress = new Notifier();
  readonly #reconcilers: Reconciler[] = [];
  /** Something was told that is not merged yet. */
  #isBehind = false;
  #publishedAt = 0;
  /** All that was known at the start is merged. */
  #isWhole = false;
  #saved: SavedState | undefined;

  constructor(options: CoreOptions) {
    const { config, saved, health } = options;
    this.#options = options;
    this.#saved = saved;
    this.table = new ServiceTable({ ...config, local: config.cluster, node: config.nodeName });
    this.#merging = new SlicedWork({ step: () => this.#step(), sliced: () => this.#publishSome() });
    this.facts = new MeshFacts(this.table, () => this.changed(), saved?.clusters, options.clock);
    health.expect('table');
    this.table.onChange(() => health.report('frontends', tableHealth(this.table)));
  }

  /** To be called after each fact about the local cluster that went into the table. */
  changed(): void {
    this.#isBehind = true;
    this.#merging.request();
  }

  /** To be called when there is something new about the node itself. */
  nodeChanged(): void {
    for (const reconciler of this.#reconcilers) reconciler.nodeChanged();
  }

  /** The table revision that each half of the datapath has, by name. */
  get applied(): ReadonlyMap<string, number> {
    return this.#applied;
  }

  /** How often each half of the datapath was found changed by others, and set right, by name. */
  get repairs(): ReadonlyMap<string, number> {
    return this.#repairs;
  }

  /** Until `signal` aborts; the kernel keeps what it has. */
  async run({ halves, readKernel, localSynced, save }: CoreParts, signal: AbortSignal): Promise<void> {
    const { config, health } = this.#options;
    health.expect(...halves.map(partOf));
    for (const { name } of halves) this.#repairs.set(name, 0);
    await Promise.race([localSynced, aborted(signal)]);
    if (signal.aborted) return;
    const { services } = this.table.local;
    const kernel = await readKernel((routes) => servesSaved(routes, this.#saved));
    this.table.adopt(adoptedClusters(kernel, services, config.cluster.id, this.#saved));
    this.#saved = undefined;
    this.facts.settle();
    this.table.open();
    while (this.#merging.slice()) await nextTurn();
    this.#isWhole = true;
    health.report('table', { kind: 'ok' });
    await Promise.all([...halves.map((half) => this.#reconcile(half, signal)), save(signal)]);
    this.#merging.stop();
  }

  /** Resolves when all that was told until now is merged and in these halves of the datapath, or the signal aborts. */
  async settled(halves: readonly string[], signal: AbortSignal): Promise<void> {
    const isIn = (half: string): boolean => (this.#applied.get(half) ?? -1) >= this.table.revision;
    while (!signal.aborted) {
      const seen = this.#progress.version;
      if (!this.#isBehind && halves.every(isIn)) return;
      await this.#progress.changed(seen, signal);
    }
  }

  #step(): boolean {
    const firstListingsWait = this.#isWhole && this.facts.firstListings.areUnderWay;
    const more = this.table.step({ firstListingsWait });
    if (!more) this.table.publish();
    if (!more && !firstListingsWait && this.#isBehind) {
      this.#isBehind = false;
      this.#progress.notify();
    }
    return more;
  }

  /** There is more to merge. The kernel is written once for much of it: writing takes turns with merging. */
  #publishSome(): void {
    const { clock = systemClock } = this.#options;
    if (!this.table.hasLocalChanges && clock.now() - this.#publishedAt < TOGETHER_MS) return;
    this.#publishedAt = clock.now();
    this.table.publish();
  }

  #reconcile(datapath: Datapath, signal: AbortSignal): Promise<void> {
    const { log, health, clock, applied } = this.#options;
    const { name } = datapath;
    const reconciler = new Reconciler({
      table: this.table,
      datapath,
      log,
      clock,
      report: (state) => health.report(partOf(datapath), state),
      damaged: () => this.#repairs.set(name, (this.#repairs.get(name) ?? 0) + 1),
      foreign: (programs) => {
        const part = `${partOf(datapath)}/others`;
        const reason = `programs of others run before ours, and what they translate is theirs: ${programs.join('; ')}`;
        if (programs.length > 0) health.report(part, { kind: 'degraded', reason });
        else health.forget(part);
      },
      applied: (revision) => {
        this.#applied.set(name, revision);
        this.#progress.notify();
        applied?.(name, revision);
      },
    });
    this.#reconcilers.push(reconciler);
    return reconciler.run(signal);
  }
}

/** Its name in the health tree. */
const partOf = ({ name }: Datapath): string => `datapath/${name}`;
