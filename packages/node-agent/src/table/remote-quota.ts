/**
 * How many backends of each other cluster may be in use on this node. While a cluster stays below its quota nothing is
 * counted off; above it, Services get theirs in the order of their keys, whatever the order in which they were heard.
 */
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';

interface Account {
  readonly wanted: Map<ServiceKey, number>;
  total: number;
  /** What each Service may use, from the first that cannot have all; none while all fits. */
  allowances: ReadonlyMap<ServiceKey, number>;
  stale: boolean;
}

export class RemoteQuota {
  readonly #perCluster: number;
  readonly #accounts = new Map<ClusterName, Account>();

  constructor(perCluster: number) {
    this.#perCluster = perCluster;
  }

  /** What a Service would use of each cluster. */
  set(key: ServiceKey, wanted: ReadonlyMap<ClusterName, number>): void {
    for (const cluster of wanted.keys()) {
      if (!this.#accounts.has(cluster)) this.#accounts.set(cluster, newAccount());
    }
    for (const [cluster, account] of this.#accounts) this.#change(account, key, wanted.get(cluster) ?? 0);
  }

  /** Undefined: all that it wants. */
  allowance(cluster: ClusterName, key: ServiceKey): number | undefined {
    return this.#accounts.get(cluster)?.allowances.get(key);
  }

  /** Clusters that want more than they may have. */
  get exceeded(): readonly ClusterName[] {
    return [...this.#accounts].filter(([, { total }]) => total > this.#perCluster).map(([cluster]) => cluster);
  }

  /** Settles what changed; answers with the Services whose allowance is another one now. */
  settle(): ReadonlySet<ServiceKey> {
    const changed = new Set<ServiceKey>();
    for (const account of this.#accounts.values()) {
      if (!account.stale) continue;
      account.stale = false;
      const before = account.allowances;
      account.allowances = shared(account.wanted, this.#perCluster);
      for (const key of new Set([...before.keys(), ...account.allowances.keys()])) {
        if (before.get(key) !== account.allowances.get(key)) changed.add(key);
      }
    }
    return changed;
  }

  #change(account: Account, key: ServiceKey, count: number): void {
    const before = account.wanted.get(key) ?? 0;
    if (count === before) return;
    account.total += count - before;
    if (count > 0) account.wanted.set(key, count);
    else account.wanted.delete(key);
    account.stale ||= account.total > this.#perCluster || account.allowances.size > 0;
  }
}

const newAccount = (): Account => ({ wanted: new Map(), total: 0, allowances: new Map(), stale: false });

/** Pure: the Services that cannot have all, with what is left for them. */
function shared(wanted: ReadonlyMap<ServiceKey, number>, quota: number): ReadonlyMap<ServiceKey, number> {
  const allowances = new Map<ServiceKey, number>();
  let left = quota;
  for (const key of [...wanted.keys()].sort()) {
    const count = wanted.get(key) ?? 0;
    if (count > left) allowances.set(key, left);
    left = Math.max(0, left - count);
  }
  return allowances;
}
