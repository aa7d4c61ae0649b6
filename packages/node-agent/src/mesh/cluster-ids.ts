/** Which cluster holds which id. First come, first served: the loser keeps trying, in case the winner is taken away. */
import {
  type ClusterIdentity,
  type ClusterName,
  type MaxClusters,
  parseClusterId,
} from '@tombolo/shared/model/cluster.ts';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';

export class ClusterIds {
  readonly #local: ClusterIdentity;
  readonly #max: MaxClusters;
  readonly #holders = new Map<number, ClusterName>();

  constructor(local: ClusterIdentity, max: MaxClusters) {
    this.#local = local;
    this.#max = max;
  }

  /** Claiming an id twice for one cluster is fine. */
  claim(name: ClusterName, id: number): Result<ClusterIdentity> {
    const what = `Cannot use cluster "${name}"`;
    const parsed = parseClusterId(id, this.#max);
    if (!parsed.ok) return fail(`${what}: ${parsed.error}`);
    if (id === this.#local.id)
      return fail(`${what}: cluster id ${id} is that of the local cluster "${this.#local.name}"`);
    const holder = this.#holders.get(id) ?? name;
    if (holder !== name) return fail(`${what}: cluster id ${id} is already used by cluster "${holder}"`);
    this.#holders.set(id, name);
    return ok({ name, id });
  }

  release({ name, id }: ClusterIdentity): void {
    if (this.#holders.get(id) === name) this.#holders.delete(id);
  }
}
