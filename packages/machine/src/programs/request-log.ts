/** Counts of a stream of requests: how many were sent, who answered, what went wrong. */
export interface RequestCounts {
  readonly sent: number;
  readonly answered: number;
  readonly failed: number;
  /** By signature, `cluster/node/pod`. */
  readonly by: Readonly<Record<string, number>>;
  /** By message. */
  readonly errors: Readonly<Record<string, number>>;
  readonly slowestMs: number;
}

export class RequestLog {
  #sent = 0;
  #slowestMs = 0;
  readonly #by = new Map<string, number>();
  readonly #errors = new Map<string, number>();

  send(): void {
    this.#sent++;
  }

  answered(signature: string, tookMs: number): void {
    this.#by.set(signature, (this.#by.get(signature) ?? 0) + 1);
    this.#slowestMs = Math.max(this.#slowestMs, tookMs);
  }

  failed(message: string): void {
    this.#errors.set(message, (this.#errors.get(message) ?? 0) + 1);
  }

  counts(): RequestCounts {
    return {
      sent: this.#sent,
      answered: total(this.#by),
      failed: total(this.#errors),
      by: sorted(this.#by),
      errors: sorted(this.#errors),
      slowestMs: Math.round(this.#slowestMs),
    };
  }
}

/** What happened between two counts of the same stream. */
export function since(earlier: RequestCounts, later: RequestCounts): RequestCounts {
  return {
    sent: later.sent - earlier.sent,
    answered: later.answered - earlier.answered,
    failed: later.failed - earlier.failed,
    by: difference(earlier.by, later.by),
    errors: difference(earlier.errors, later.errors),
    slowestMs: later.slowestMs,
  };
}

/** Sums over everything in the signature's first part: by cluster. */
export function byCluster({ by }: RequestCounts): Readonly<Record<string, number>> {
  const clusters = new Map<string, number>();
  for (const [signature, count] of Object.entries(by)) {
    const cluster = signature.split('/')[0] ?? '';
    clusters.set(cluster, (clusters.get(cluster) ?? 0) + count);
  }
  return sorted(clusters);
}

/** For people: a line of totals, then who answered how often and what failed. */
export function formatCounts({ sent, answered, failed, by, errors, slowestMs }: RequestCounts): string {
  const lines = [
    ...Object.entries(by),
    ...Object.entries(errors).map(([message, count]) => [`error: ${message}`, count]),
  ];
  const total = `${sent} requests: ${answered} answered, ${failed} failed; the slowest took ${slowestMs} ms`;
  return [total, ...lines.map(([what, count]) => `${String(count).padStart(7)} ${what}`)].join('\n');
}

function difference(earlier: Readonly<Record<string, number>>, later: Readonly<Record<string, number>>) {
  const changed = Object.entries(later).map(([key, count]): [string, number] => [key, count - (earlier[key] ?? 0)]);
  return Object.fromEntries(changed.filter(([, count]) => count > 0));
}

function sorted(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}
