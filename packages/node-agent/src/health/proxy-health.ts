/**
 * Whether this node's service proxy does its work, and whether load balancers shall use the node: what kube-proxy tells at
 * its health port, and in each health check.
 *
 * Healthy: the kernel has had the table once, and a change of it has never waited for longer than the limit while nothing
 * at all was programmed. A frontend that cannot be programmed, or is contested, makes no node unhealthy: it would on all
 * nodes at once, and take every Service from its load balancer.
 */

const LIMIT_MS = 60_000;

export class ProxyHealth {
  /** Since when a half of the datapath has not had the whole table: always before its first turn; undefined: it has. */
  readonly #behindSince: Map<string, number | undefined>;
  readonly #clock: () => number;
  #published = 0;
  #leaving: boolean | undefined;
  #updatedAt = 0;

  /** `clock` is monotonic, in ms. */
  constructor(halves: readonly string[], clock: () => number = () => performance.now()) {
    this.#behindSince = new Map(halves.map((name) => [name, Number.NEGATIVE_INFINITY]));
    this.#clock = clock;
  }

  /** The table is at this revision now. */
  published(revision: number): void {
    this.#published = revision;
    for (const [name, since] of this.#behindSince) this.#behindSince.set(name, since ?? this.#clock());
  }

  /** This half of the datapath has that revision of the table now; `at` is in ms since the epoch. */
  applied(name: string, revision: number, at: number): void {
    this.#updatedAt = at;
    this.#behindSince.set(name, revision < this.#published ? this.#clock() : undefined);
  }

  /** The Node goes away: it is being deleted, or the autoscaler has said that it will be. Undefined: there is none. */
  nodeLeaves(leaving: boolean | undefined): void {
    this.#leaving = leaving;
  }

  get healthy(): boolean {
    const oldest = this.#clock() - LIMIT_MS;
    return [...this.#behindSince.values()].every((since) => since === undefined || since > oldest);
  }

  /** In ms since the epoch; 0: never. */
  get updatedAt(): number {
    return this.#updatedAt;
  }

  get nodeEligible(): boolean {
    return this.#leaving === false;
  }
}
