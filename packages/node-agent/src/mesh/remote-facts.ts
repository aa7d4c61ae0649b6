/**
 * What is known of one remote cluster, beyond its sessions: who it is, whether it can be heard, its Services and nodes.
 * Tells the listener of every change, in order: Services in batches, and always before a change of the view that they led
 * to. Does no I/O.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ClusterIdentity, ClusterName, MaxClusters } from '@tombolo/shared/model/cluster.ts';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import type { Result } from '@tombolo/shared/model/result.ts';
import type { RemoteService, ServiceKey } from '@tombolo/shared/model/service.ts';
import type { ClusterStatus } from '@tombolo/shared/model/service-table.ts';
import { type Clock, sleep } from '@tombolo/shared/process/clock.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { serviceKeyOfSuffix } from '@tombolo/shared/wire/keys.ts';
import type { ClusterIds } from './cluster-ids.ts';
import {
  applyCanary,
  applyConnection,
  applyFailure,
  applyHeartbeat,
  applyListed,
  applyRestart,
  applySilence,
  applySyncing,
  applyTick,
  type Control,
  controlStateOf,
  type Moment,
  newControl,
  staleAt,
  viewOf,
} from './control.ts';
import { EntryStore } from './entry-store.ts';
import type { MeshListener } from './listener.ts';
import { RefusalLog } from './refusal-log.ts';
import { sameService } from './same-service.ts';

export interface RemoteNode {
  readonly name: string;
  readonly addresses: readonly IpAddress[];
}

export interface RemoteFactsOptions {
  readonly name: ClusterName;
  readonly localId: number;
  readonly maxClusters: MaxClusters;
  readonly ids: ClusterIds;
  readonly listener: MeshListener;
  /** Something of `status` changed: a state or a reason, which people wait for, or only counts. */
  readonly touched: (what: 'state' | 'counts') => void;
  readonly log: Logger;
  readonly clock: Clock;
  /** Without a heartbeat for this long the cluster is silent. */
  readonly silentAfterMs: number;
}

export class RemoteFacts {
  readonly services = new EntryStore<RemoteService>({ weigh: ({ backends }) => backends.length, same: sameService });
  readonly nodes = new EntryStore<RemoteNode>({ weigh: () => 0, same: isDeepStrictEqual });
  readonly #options: RemoteFactsOptions;
  readonly #refusals: RefusalLog;
  /** As accepted, now or before this start. */
  #identity: ClusterIdentity | undefined;
  #control: Control;
  #endpoints: readonly string[] = [];
  #fileProblem = '';
  #sessionAt: number;
  #changes = new Map<ServiceKey, RemoteService | undefined>();
  #status: ClusterStatus | undefined;
  #closed = false;
  #cancelTick = (): void => {};

  constructor(options: RemoteFactsOptions) {
    this.#options = options;
    this.#refusals = new RefusalLog(options.log, options.clock);
    this.#sessionAt = options.clock.now();
    this.#control = newControl(this.#moment());
    this.#identity = options.ids.of(options.name);
  }

  get name(): ClusterName {
    return this.#options.name;
  }

  get localId(): number {
    return this.#options.localId;
  }

  get maxClusters(): MaxClusters {
    return this.#options.maxClusters;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  get isHeard(): boolean {
    return !this.#control.silent;
  }

  /** The settings from its file; a problem with a later version of the file leaves them in force. */
  setFile(endpoints: readonly string[] | undefined, problem: string): void {
    this.#fileProblem = problem;
    if (endpoints !== undefined) {
      this.#endpoints = endpoints;
      this.#update(applyRestart(this.#control, this.#moment()));
    } else if (problem !== '' && this.#endpoints.length === 0) {
      this.#update(applyFailure(this.#control, problem, this.#moment()));
    }
    this.touch('state');
  }

  beginSession(): void {
    this.#sessionAt = this.clock.now();
    this.#tick();
  }

  /** Only an accepted id takes the place of the one before; with it goes all that was said under that one. */
  configured(id: number): Result<ClusterIdentity> {
    const claimed = this.#options.ids.claim(this.name, id);
    if (!claimed.ok) return claimed;
    if (this.#identity !== undefined && this.#identity.id !== id) this.#withdraw(this.#identity);
    this.#identity = claimed.value;
    this.touch('state');
    return claimed;
  }

  serviceChanged(suffix: string, service: RemoteService | undefined): void {
    this.#changes.set(serviceKeyOfSuffix(suffix), service);
  }

  /** Tells the changes so far. */
  flush(): void {
    this.touch('counts');
    if (this.#changes.size === 0 || this.#identity === undefined || this.#closed) return;
    const changes = this.#changes;
    this.#changes = new Map();
    this.#options.listener.servicesChanged(this.#identity, changes);
  }

  refused(key: string, reason: string): void {
    this.#refusals.refused(key, reason);
  }

  syncing(): void {
    this.#update(applySyncing(this.#control, this.#moment()));
  }

  /** Of the Services. */
  canary(isThere: boolean): void {
    const { now, wallTime } = this.#moment();
    const since = new Date(wallTime - now + (this.#control.faults.unvouched ?? now)).toISOString();
    const reason = `Cannot list the Services of cluster "${this.name}": expected its canary, which says that they are complete: it is absent since ${since}`;
    this.#update(applyCanary(this.#control, isThere ? '' : reason, { now, wallTime }));
  }

  listed(): void {
    this.#update(applyListed(this.#control, this.#moment()));
  }

  heartbeat(mark: string): void {
    this.#update(applyHeartbeat(this.#control, mark, this.#moment()));
  }

  connection(reason: string): void {
    this.#update(applyConnection(this.#control, reason, this.#moment()));
  }

  failed(reason: string): void {
    this.#tick();
    this.#update(applyFailure(this.#control, reason, this.#moment()));
  }

  /** A session without a sign of life for too long is given up, since a fresh one may fare better. */
  async watchSilence(signal: AbortSignal): Promise<void> {
    const { clock, silentAfterMs } = this.#options;
    while (!signal.aborted) {
      const restartAt = Math.max(this.#control.heardAt ?? 0, this.#sessionAt) + silentAfterMs;
      if (clock.now() >= restartAt) {
        throw new Error(`Cannot hear cluster "${this.name}": no heartbeat for ${silentAfterMs / 1000} s`);
      }
      await sleep(clock, restartAt - clock.now(), signal);
    }
  }

  /** Its file is gone. */
  withdrawAll(): void {
    if (this.#identity !== undefined) this.#withdraw(this.#identity);
    this.#identity = undefined;
    this.#options.ids.release(this.name);
    this.touch('state');
  }

  #withdraw(identity: ClusterIdentity): void {
    this.services.clear();
    this.nodes.clear();
    this.#changes.clear();
    const { failures, heartbeat, heardAt, heardWallTime } = this.#control;
    this.#control = { ...newControl(this.#moment()), failures, heartbeat, heardAt, heardWallTime };
    this.#options.listener.clusterRemoved(identity);
  }

  /** Nothing is told from here on. */
  close(): void {
    this.#closed = true;
    this.#cancelTick();
    this.#refusals.close();
    this.#changes.clear();
  }

  get status(): ClusterStatus {
    this.#status ??= {
      name: this.name,
      id: this.#identity?.id,
      local: false,
      control: controlStateOf(this.#control),
      since: this.#control.since,
      heardAt: this.#control.heardWallTime,
      endpoints: this.#endpoints,
      services: this.services.values.size,
      backends: this.services.weight,
      nodes: this.nodes.values.size,
      failures: this.#control.failures,
      lastError: this.#fileProblem || this.#control.lastError,
      warnings: [
        ...(this.#identity === undefined ? [] : this.#options.ids.warnings(this.#identity)),
        ...outdatedWarning(this.services.outdated),
      ],
      quarantined: [...this.services.quarantined, ...this.nodes.quarantined],
    };
    return this.#status;
  }

  /** What `status` says is made anew. */
  touch(what: 'state' | 'counts'): void {
    this.#status = undefined;
    if (!this.#closed) this.#options.touched(what);
  }

  #moment(): Moment {
    return { now: this.clock.now(), wallTime: this.clock.wallTime() };
  }

  #silentAt(): number {
    return (this.#control.heardAt ?? this.#sessionAt) + this.#options.silentAfterMs;
  }

  /** Time may have made it silent or stale. */
  #tick(): void {
    const isSilent = this.clock.now() >= this.#silentAt();
    this.#update((isSilent ? applySilence : applyTick)(this.#control, this.#moment()));
  }

  #update(next: Control): void {
    const before = viewOf(this.#control);
    const stateBefore = controlStateOf(this.#control);
    const errorBefore = this.#control.lastError;
    this.#control = next;
    this.#tickLater();
    const view = viewOf(next);
    if (this.#identity !== undefined && view.kind !== before.kind && !this.#closed) {
      this.flush();
      const refused = new Set([...this.services.refusedKeys].map(serviceKeyOfSuffix));
      this.#options.listener.viewChanged(this.#identity, view, refused);
    }
    const state = controlStateOf(next);
    if (state !== stateBefore)
      this.#options.log.info({ control: state, reason: next.lastError }, 'Control plane changed');
    this.touch(state !== stateBefore || next.lastError !== errorBefore ? 'state' : 'counts');
  }

  #tickLater(): void {
    this.#cancelTick();
    if (this.#closed) return;
    const silentAt = this.#control.silent ? undefined : this.#silentAt();
    const at = Math.min(...[silentAt, staleAt(this.#control)].filter((time) => time !== undefined));
    if (at !== Number.POSITIVE_INFINITY)
      this.#cancelTick = this.clock.after(Math.max(0, at - this.clock.now()), () => this.#tick());
  }
}

const outdatedWarning = (kept: number): readonly string[] =>
  kept === 0
    ? []
    : [
        `Its etcd went back to an older state: ${kept} Services that this lacks stay in use until its canary is written anew`,
      ];
