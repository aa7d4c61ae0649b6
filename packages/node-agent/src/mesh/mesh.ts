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
import type { ClusterStatus } from '@tombolo/shared/model/service-table.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { type Clock, systemClock } from './clock.ts';
import { ClusterIds } from './cluster-ids.ts';
import { parseClusterFile } from './clustermesh-file.ts';
import { followDirectory } from './directory.ts';
import type { MeshListener } from './listener.ts';
import { type Connect, RemoteCluster } from './remote-cluster.ts';

export interface MeshOptions {
  /** `--clustermesh-config`: one file per remote cluster, named for it. */
  readonly directory: string;
  readonly local: ClusterIdentity;
  readonly maxClusters: MaxClusters;
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

const DEFAULT_TIMING: MeshTiming = { heartbeatMs: 60_000, pollMs: 5_000, confirmMs: 1_000 };

export interface Mesh {
  /** Names of the clusters in the directory; undefined until it was read once: unknown is not empty. */
  known(): ReadonlySet<ClusterName> | undefined;
  statuses(): ReadonlyMap<ClusterName, ClusterStatus>;
  /** Why the directory cannot be read now; empty when it can. */
  directoryProblem(): string;
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
  readonly #clusters = new Map<ClusterName, RemoteCluster>();
  readonly #stopping = new AbortController();
  readonly #following: Promise<void>;
  #read = false;
  #problem = '';
  #telling = false;

  constructor(options: MeshOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#timing = { ...DEFAULT_TIMING, ...options.timing };
    this.#ids = new ClusterIds(options.local, options.maxClusters);
    this.#following = followDirectory(
      {
        directory: options.directory,
        clock: this.#clock,
        ...this.#timing,
        changed: (changes) => this.#filesChanged(changes),
        problem: (reason) => this.#setProblem(reason),
      },
      this.#stopping.signal,
    );
  }

  known(): ReadonlySet<ClusterName> | undefined {
    return this.#read ? new Set(this.#clusters.keys()) : undefined;
  }

  statuses(): ReadonlyMap<ClusterName, ClusterStatus> {
    return new Map([...this.#clusters].map(([name, cluster]) => [name, cluster.facts.status]));
  }

  directoryProblem(): string {
    return this.#problem;
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#following;
    await Promise.all([...this.#clusters.values()].map((cluster) => cluster.close()));
  }

  async #filesChanged(changes: ReadonlyMap<string, string | undefined>): Promise<void> {
    for (const [file, content] of changes) await this.#fileChanged(file, content);
    this.#read = true;
    this.#report();
    this.#tell();
  }

  async #fileChanged(file: string, content: string | undefined): Promise<void> {
    const name = parseClusterName(file);
    if (!name.ok) {
      if (content !== undefined) this.#options.log.error({ file, reason: name.error }, 'Clustermesh file ignored');
      return;
    }
    if (name.value === this.#options.local.name) return;
    if (content === undefined) await this.#removeCluster(name.value);
    else this.#configure(name.value, content);
  }

  #configure(name: ClusterName, content: string): void {
    const { directory, log } = this.#options;
    const cluster = this.#clusters.get(name) ?? this.#addCluster(name);
    const config = parseClusterFile(join(directory, name), content, directory);
    if (config.ok) {
      cluster.setConfig(config.value);
    } else {
      log.error({ cluster: name, reason: config.error }, 'Clustermesh file cannot be used');
      cluster.setProblem(config.error);
    }
  }

  #addCluster(name: ClusterName): RemoteCluster {
    const { local, maxClusters, listener, connect, log } = this.#options;
    const cluster = new RemoteCluster({
      name,
      localId: local.id,
      maxClusters,
      ids: this.#ids,
      listener,
      connect,
      clock: this.#clock,
      log: log.child({ cluster: name }),
      silentAfterMs: 2 * this.#timing.heartbeatMs,
      touched: () => this.#tell(),
    });
    this.#clusters.set(name, cluster);
    log.info({ cluster: name }, 'Cluster added');
    return cluster;
  }

  async #removeCluster(name: ClusterName): Promise<void> {
    await this.#clusters.get(name)?.remove();
    this.#clusters.delete(name);
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

  /** Many changes in one turn of the event loop are told as one. */
  #tell(): void {
    if (this.#telling || !this.#read) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      if (!this.#stopping.signal.aborted) this.#options.listener.statusChanged(this.statuses());
    });
  }
}
