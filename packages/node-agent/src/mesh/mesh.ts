/**
 * The mesh room's door: follows the clustermesh directory and keeps one read-only session with each cluster in it. What
 * the clusters say goes to the listener.
 */
import { join } from 'node:path';
import {
  type ClusterIdentity,
  type ClusterName,
  type MaxClusters,
  parseClusterName,
} from '@tombolo/shared/model/cluster.ts';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import { type Clock, systemClock } from '@tombolo/shared/process/clock.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { ClusterIds } from './cluster-ids.ts';
import { parseClusterFile } from './clustermesh-file.ts';
import { followDirectory } from './directory.ts';
import { FairWork } from './fair-work.ts';
import type { MeshListener } from './listener.ts';
import { type Connect, Peer } from './peer.ts';

export interface MeshOptions {
  /** `--clustermesh-config`: one file per remote cluster, named for it. */
  readonly directory: string;
  readonly local: ClusterIdentity;
  readonly maxClusters: MaxClusters;
  /** The ids that clusters had before this start: these keep them. What they have now is in their statuses. */
  readonly remembered?: ReadonlyMap<ClusterName, number>;
  readonly listener: MeshListener;
  /** `connectReader` of the etcd room. */
  readonly connect: Connect;
  readonly log: Logger;
  /** Told when the directory can be read, and when it cannot, with the reason. */
  readonly report?: (health: Health) => void;
  readonly clock?: Clock;
  readonly timing?: Partial<MeshTiming>;
}

export interface MeshTiming {
  /** How often a cluster writes its heartbeat; silent after twice that. */
  readonly heartbeatMs: number;
  /** How often the directory is looked at when nothing notified. */
  readonly pollMs: number;
  /** How long a file must be missing before its cluster is removed. */
  readonly confirmMs: number;
}

/** Between two statuses that differ only in counts. */
const COUNTS_MS = 500;

const DEFAULT_TIMING: MeshTiming = { heartbeatMs: 60_000, pollMs: 5_000, confirmMs: 1_000 };

export interface Mesh {
  /** Whether that cluster has a pod or a node at this address; undefined when it does not say now. */
  hasAddress(cluster: ClusterName, address: IpAddress): Promise<boolean | undefined>;
  /** Ends all sessions. Withdraws nothing. */
  close(): Promise<void>;
}

export function startMesh(options: MeshOptions): Mesh {
  return new RunningMesh(options);
}

class RunningMesh implements Mesh {
  readonly #options: MeshOptions;
  readonly #clock: Clock;
  readonly #timing: MeshTiming;
  readonly #ids: ClusterIds;
  readonly #peers = new Map<ClusterName, Peer>();
  readonly #work = new FairWork();
  readonly #stopping = new AbortController();
  readonly #following: Promise<void>;
  #read = false;
  #problem = '';
  #telling: 'now' | 'later' | undefined;
  #cancelTelling = (): void => {};

  constructor(options: MeshOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#timing = { ...DEFAULT_TIMING, ...options.timing };
    this.#ids = new ClusterIds(options.local, options.maxClusters, options.remembered, () => {
      for (const { facts } of this.#peers.values()) facts.touch('state');
    });
    this.#following = followDirectory(
      {
        directory: options.directory,
        remembered: new Set(options.remembered?.keys()),
        clock: this.#clock,
        ...this.#timing,
        changed: (changes, unreadable) => this.#filesChanged(changes, unreadable),
        problem: (reason) => this.#setProblem(reason),
      },
      this.#stopping.signal,
    );
  }

  async hasAddress(cluster: ClusterName, address: IpAddress): Promise<boolean | undefined> {
    return this.#peers.get(cluster)?.hasAddress(address);
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#following;
    await Promise.all([...this.#peers.values()].map((peer) => peer.close()));
    this.#work.stop();
    this.#cancelTelling();
  }

  async #filesChanged(
    changes: ReadonlyMap<string, string | undefined>,
    unreadable: ReadonlyMap<string, string>,
  ): Promise<void> {
    for (const [file, content] of changes) await this.#fileChanged(file, content);
    if (!this.#read) this.#keepRemembered(unreadable);
    this.#read = true;
    this.#report();
    this.#tell('state');
  }

  async #fileChanged(file: string, content: string | undefined): Promise<void> {
    const name = parseClusterName(file);
    if (!name.ok) {
      if (content !== undefined) this.#options.log.error({ file, reason: name.error }, 'Clustermesh file ignored');
      return;
    }
    if (name.value === this.#options.local.name) return;
    if (content === undefined) await this.#removePeer(name.value);
    else this.#configure(name.value, content);
  }

  /** Of the clusters from before this start, those whose file is there: what it says is not known yet, if it cannot be read. */
  #keepRemembered(unreadable: ReadonlyMap<string, string>): void {
    const { remembered = new Map<ClusterName, number>(), local } = this.#options;
    for (const name of remembered.keys()) {
      const reason = unreadable.get(name);
      if (reason === undefined || name === local.name) continue;
      this.#addPeer(name).setProblem(`Cannot read clustermesh file ${name}: ${reason}`);
    }
    this.#ids.keep(new Set(this.#peers.keys()));
  }

  #configure(name: ClusterName, content: string): void {
    const { directory, log } = this.#options;
    const peer = this.#peers.get(name) ?? this.#addPeer(name);
    const config = parseClusterFile(join(directory, name), content, directory);
    if (config.ok) {
      peer.setConfig(config.value);
    } else {
      log.error({ cluster: name, reason: config.error }, 'Clustermesh file cannot be used');
      peer.setProblem(config.error);
    }
  }

  #addPeer(name: ClusterName): Peer {
    const { local, maxClusters, listener, connect, log } = this.#options;
    const peer = new Peer({
      name,
      localId: local.id,
      maxClusters,
      ids: this.#ids,
      listener,
      connect,
      work: this.#work,
      clock: this.#clock,
      log: log.child({ cluster: name }),
      silentAfterMs: 2 * this.#timing.heartbeatMs,
      touched: (what) => this.#tell(what),
    });
    this.#peers.set(name, peer);
    log.info({ cluster: name }, 'Cluster added');
    return peer;
  }

  async #removePeer(name: ClusterName): Promise<void> {
    await this.#peers.get(name)?.remove();
    this.#peers.delete(name);
    this.#options.log.info({ cluster: name }, 'Cluster removed');
  }

  #setProblem(reason: string): void {
    if (reason === this.#problem) return;
    this.#problem = reason;
    this.#report();
    const { log, directory } = this.#options;
    if (reason === '') log.info({ directory }, 'Clustermesh directory can be read again');
    else log.error({ reason }, 'Clustermesh directory cannot be read, its clusters stay as they are known');
  }

  #report(): void {
    const reason = this.#problem;
    this.#options.report?.(reason === '' ? { kind: 'ok' } : { kind: 'degraded', reason });
  }

  /** Many changes in one turn of the event loop are told as one; counts, which change all the time, now and then. */
  #tell(what: 'state' | 'counts'): void {
    if (!this.#read || this.#telling === 'now' || (what === 'counts' && this.#telling === 'later')) return;
    this.#cancelTelling();
    const tell = (): void => {
      this.#telling = undefined;
      if (this.#stopping.signal.aborted) return;
      this.#options.listener.statusChanged(new Map([...this.#peers].map(([name, { facts }]) => [name, facts.status])));
    };
    this.#telling = what === 'state' ? 'now' : 'later';
    if (what === 'state') queueMicrotask(tell);
    else this.#cancelTelling = this.#clock.after(COUNTS_MS, tell);
  }
}
