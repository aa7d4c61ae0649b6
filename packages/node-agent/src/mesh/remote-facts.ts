/**
 * What is known of one remote cluster, beyond its sessions: who it is, whether it can be heard, its Services and nodes.
 * Tells the listener of every change, in order: Services in one batch per turn of the event loop, and always before a
 * change of the view that they led to. Does no I/O.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ClusterIdentity, ClusterName, MaxClusters } from '@tombolo/shared/model/cluster.ts';
import type { Result } from '@tombolo/shared/model/result.ts';
import { type RemoteService, type ServiceKey, serviceKey } from '@tombolo/shared/model/service.ts';
import type { ClusterStatus } from '@tombolo/shared/model/service-table.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { WireClusterConfig } from '@tombolo/shared/wire/cluster-config.ts';
import type { Clock } from './clock.ts';
import type { ClusterIds } from './cluster-ids.ts';
import {
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
  newControl,
  STALE_AFTER_MS,
  viewOf,
} from './control.ts';
import { EntryStore } from './entry-store.ts';
import type { MeshListener } from './listener.ts';
import type { RemoteNode, SessionHost } from './session.ts';

export interface RemoteFactsOptions {
  readonly name: ClusterName;
  readonly localId: number;
  readonly maxClusters: MaxClusters;
  readonly ids: ClusterIds;
  readonly listener: MeshListener;
  /** Something of `status` changed. */
  readonly touched: () => void;
  readonly log: Logger;
  readonly clock: Clock;
  /** Without a heartbeat for this long the cluster is silent. */
  readonly silentAfterMs: number;
}

/** Revisions alone do not tell: an etcd that lost its data counts from 1 again. */
function isSameService(known: RemoteService, listed: RemoteService): boolean {
  return (
    known.origin.revision === listed.origin.revision &&
    known.shared === listed.shared &&
    isDeepStrictEqual(known.backends, listed.backends)
  );
}

function serviceKeyOf(suffix: string): ServiceKey {
  const slash = suffix.indexOf('/');
  return serviceKey(suffix.slice(0, slash), suffix.slice(slash + 1));
}

export class RemoteFacts implements SessionHost {
  readonly #options: RemoteFactsOptions;
  readonly services = new EntryStore({ weigh: ({ backends }: RemoteService) => backends.length, same: isSameService });
  readonly nodes = new EntryStore<RemoteNode>({ weigh: () => 1, same: isDeepStrictEqual });
  #identity: ClusterIdentity | undefined;
  #control: Control;
  #endpoints: readonly string[] = [];
  #fileProblem = '';
  #sessionAt: number;
  readonly #pending = new Map<ServiceKey, RemoteService | undefined>();
  #status: ClusterStatus | undefined;
  #closed = false;
  /** Ends the wait for a broken connection to make things stale. */
  #mended = new AbortController();

  constructor(options: RemoteFactsOptions) {
    this.#options = options;
    this.#sessionAt = options.clock.now();
    this.#control = newControl(this.#sessionAt);
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

  now(): number {
    return this.#options.clock.now();
  }

  get isHeard(): boolean {
    return this.#control.silentSince === undefined;
  }

  /** The settings from its file; a problem with a later version of the file leaves them in force. */
  setFile(endpoints: readonly string[] | undefined, problem: string): void {
    this.#fileProblem = problem;
    if (endpoints !== undefined) {
      this.#endpoints = endpoints;
      this.#update(applyRestart(this.#control, this.now()));
    } else if (problem !== '' && this.#endpoints.length === 0) {
      this.#update(applyFailure(this.#control, problem, this.now()));
    }
    this.#touch();
  }

  beginSession(): void {
    this.#sessionAt = this.now();
    this.#noteSilence();
  }

  configured(config: WireClusterConfig): Result<ClusterIdentity> {
    if (this.#identity !== undefined && this.#identity.id !== config.id) this.withdrawAll();
    const claimed = this.#options.ids.claim(this.name, config.id);
    if (!claimed.ok) return claimed;
    this.#identity = claimed.value;
    return claimed;
  }

  serviceChanged(suffix: string, service: RemoteService | undefined): void {
    if (this.#pending.size === 0) queueMicrotask(() => this.#flush());
    this.#pending.set(serviceKeyOf(suffix), service);
    this.#touch();
  }

  nodesChanged(): void {
    this.#touch();
  }

  refused(key: string, reason: string): void {
    this.#options.log.warn({ key, reason }, 'Remote entry refused');
    this.#touch();
  }

  syncing(): void {
    this.#update(applySyncing(this.#control, this.now()));
  }

  listed(): void {
    this.#update(applyListed(this.#control, this.now()));
  }

  heartbeat(mark: string): void {
    this.#update(applyHeartbeat(this.#control, mark, this.now()));
  }

  connection(reason: string): void {
    const wasBroken = this.#control.brokenSince !== undefined;
    this.#update(applyConnection(this.#control, reason, this.now()));
    const isBroken = this.#control.brokenSince !== undefined;
    if (isBroken && !wasBroken) void this.#watchBroken();
    if (!isBroken) this.#mended.abort();
  }

  async #watchBroken(): Promise<void> {
    this.#mended = new AbortController();
    await this.#options.clock.sleep(STALE_AFTER_MS, this.#mended.signal);
    this.#update(applyTick(this.#control, this.now()));
  }

  failed(reason: string): void {
    this.#update(applyFailure(this.#control, reason, this.now()));
    this.#noteSilence();
  }

  /** A session without a sign of life for too long is given up, since a fresh one may fare better. */
  async watchSilence(signal: AbortSignal): Promise<void> {
    const { clock, silentAfterMs } = this.#options;
    for (;;) {
      this.#noteSilence();
      const restartAt = Math.max(this.#control.heardAt, this.#sessionAt) + silentAfterMs;
      if (this.now() >= restartAt) {
        throw new Error(`Cannot hear cluster "${this.name}": no heartbeat for ${silentAfterMs / 1000} s`);
      }
      const wakeAt = this.isHeard ? Math.min(restartAt, this.#silentAt()) : restartAt;
      await clock.sleep(wakeAt - this.now(), signal);
      if (signal.aborted) return;
    }
  }

  #silentAt(): number {
    return (this.#control.heardAt || this.#sessionAt) + this.#options.silentAfterMs;
  }

  #noteSilence(): void {
    if (this.now() >= this.#silentAt()) this.#update(applySilence(this.#control, this.now()));
  }

  /** All that it said is void: its file is gone, or it has another id now. */
  withdrawAll(): void {
    this.services.clear();
    this.nodes.clear();
    this.#pending.clear();
    const identity = this.#identity;
    this.#identity = undefined;
    this.#control = { ...newControl(this.now()), failures: this.#control.failures };
    if (identity === undefined) return;
    this.#options.ids.release(identity);
    this.#options.listener.clusterRemoved(identity);
    this.#touch();
  }

  /** Nothing is told from here on. */
  close(): void {
    this.#closed = true;
    this.#mended.abort();
    this.#pending.clear();
  }

  get status(): ClusterStatus {
    this.#status ??= {
      name: this.name,
      id: this.#identity?.id,
      local: false,
      control: controlStateOf(this.#control),
      since: this.#control.since,
      heardAt: this.#control.heardAt,
      endpoints: this.#endpoints,
      services: this.services.values.size,
      backends: this.services.weight,
      nodes: this.nodes.values.size,
      failures: this.#control.failures,
      lastError: this.#fileProblem || this.#control.lastError,
      quarantined: [...this.services.quarantined, ...this.nodes.quarantined],
    };
    return this.#status;
  }

  #update(next: Control): void {
    const before = viewOf(this.#control);
    const stateBefore = controlStateOf(this.#control);
    this.#control = next;
    const view = viewOf(next);
    if (this.#identity !== undefined && view.kind !== before.kind && !this.#closed) {
      this.#flush();
      const refused = new Set([...this.services.refusedKeys].map(serviceKeyOf));
      this.#options.listener.viewChanged(this.#identity, view, refused);
    }
    const state = controlStateOf(next);
    if (state !== stateBefore)
      this.#options.log.info({ control: state, reason: next.lastError }, 'Control plane changed');
    this.#touch();
  }

  #flush(): void {
    if (this.#pending.size === 0 || this.#identity === undefined || this.#closed) return;
    const changes = new Map(this.#pending);
    this.#pending.clear();
    this.#options.listener.servicesChanged(this.#identity, changes);
  }

  #touch(): void {
    this.#status = undefined;
    if (!this.#closed) this.#options.touched();
  }
}
