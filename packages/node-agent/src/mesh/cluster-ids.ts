/**
 * Which cluster holds which id: by name, also over restarts of the agent. An id stays with its holder until the holder is
 * given another or its file is gone; whoever claims it meanwhile is refused, and both are told. The loser keeps trying.
 */
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
  /** Who was refused, and the id that it claims. */
  readonly #refused = new Map<ClusterName, number>();
  readonly #contested: () => void;

  /** `remembered`: from before this start. `contested` is called when what `warnings` says may have changed. */
  constructor(
    local: ClusterIdentity,
    max: MaxClusters,
    remembered: ReadonlyMap<ClusterName, number> = new Map(),
    contested: () => void = () => {},
  ) {
    this.#local = local;
    this.#max = max;
    this.#contested = contested;
    for (const [name, id] of remembered) this.claim(name, id);
  }

  /** What a cluster holds. */
  of(name: ClusterName): ClusterIdentity | undefined {
    for (const [id, holder] of this.#holders) if (holder === name) return { name, id };
    return undefined;
  }

  /** An accepted id takes the place of the one that the cluster held before. */
  claim(name: ClusterName, id: number): Result<ClusterIdentity> {
    const what = `Cannot use cluster "${name}"`;
    const parsed = parseClusterId(id, this.#max);
    if (!parsed.ok) return fail(`${what}: ${parsed.error}`);
    if (id === this.#local.id)
      return fail(`${what}: cluster id ${id} is that of the local cluster "${this.#local.name}"`);
    const holder = this.#holders.get(id) ?? name;
    if (holder !== name) {
      if (this.#refused.get(name) !== id) this.#contest(() => this.#refused.set(name, id));
      return fail(`${what}: cluster id ${id} is already used by cluster "${holder}"`);
    }
    this.release(name);
    this.#holders.set(id, name);
    return ok({ name, id });
  }

  release(name: ClusterName): void {
    const held = this.of(name);
    if (held) this.#holders.delete(held.id);
    if (this.#refused.has(name)) this.#contest(() => this.#refused.delete(name));
  }

  /** Of those that are remembered, who is not among these is gone. */
  keep(names: ReadonlySet<ClusterName>): void {
    for (const name of [...this.#holders.values()]) if (!names.has(name)) this.release(name);
  }

  /** What the holder of an id has to know: who else claims it. */
  warnings({ id }: ClusterIdentity): readonly string[] {
    return [...this.#refused]
      .filter(([, claimed]) => claimed === id)
      .map(([claimant]) => `Cluster "${claimant}" claims cluster id ${id}, too, and is refused`);
  }

  #contest(change: () => void): void {
    change();
    this.#contested();
  }
}
