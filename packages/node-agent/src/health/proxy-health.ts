/**
 * Whether this node's service proxy does its work, and whether load balancers shall use the node: what kube-proxy tells at
 * its health port, and in each health check.
 *
 * Healthy: the kernel has had the table once, and a change of it has never waited for longer than the limit while nothing
 * at all was programmed. A frontend that cannot be programmed, or is contested, makes no node unhealthy: it would on all
 * nodes at once, and take every Service from its load balancer.
 */

const LIMIT_MS = 60_000;

interface Half {
  /** Of the table, which this half of the datapath has; -1 before its first turn. */
  readonly revision: number;
  /** Undefined while it has the whole table. */
  readonly behindSince: number | undefined;
}

export class ProxyHealth {
  readonly #halves: Map<string, Half>;
  readonly #clock: () => number;
  #published = 0;
  #leaving: boolean | undefined;
  #updatedAt = 0;

  /** `clock` is monotonic, in ms. */
  constructor(halves: readonly string[], clock: () => number = () => performance.now()) {
    this.#halves = new Map(halves.map((name) => [name, { revision: -1, behindSince: undefined }]));
    this.#clock = clock;
  }

  /** The table is at this revision now. */
  published(revision: number): void {
    this.#published = revision;
    for (const [name, half] of this.#halves) {
      if (half.behindSince === undefined) this.#halves.set(name, { ...half, behindSince: this.#clock() });
    }
  }

  /** This half of the datapath has that revision of the table now; `at` is in ms since the epoch. */
  applied(name: string, revision: number, at: number): void {
    this.#updatedAt = at;
    const behindSince = revision < this.#published ? this.#clock() : undefined;
    this.#halves.set(name, { revision, behindSince });
  }

  /** The Node goes away: it is being deleted, or the autoscaler has said that it will be. Undefined: there is none. */
  nodeLeaves(leaving: boolean | undefined): void {
    this.#leaving = leaving;
  }

  get healthy(): boolean {
    const oldest = this.#clock() - LIMIT_MS;
    return [...this.#halves.values()].every(
      ({ revision, behindSince }) => revision >= 0 && (behindSince === undefined || behindSince > oldest),
    );
  }

  /** In ms since the epoch; 0: never. */
  get updatedAt(): number {
    return this.#updatedAt;
  }

  get nodeEligible(): boolean {
    return this.#leaving === false;
  }
}
