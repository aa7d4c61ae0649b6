/** Says once when a Service becomes too large for etcd, and once when it fits again. */
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { Truncation } from './export/service-entry.ts';

export class TruncationLog {
  readonly #log: Logger;
  readonly #reported = new Set<ServiceKey>();

  constructor(log: Logger) {
    this.#log = log;
  }

  report(truncated: ReadonlyMap<ServiceKey, Truncation>): void {
    for (const [service, truncation] of truncated) {
      if (this.#reported.has(service)) continue;
      this.#reported.add(service);
      this.#log.warn(
        { service, ...truncation },
        'Service is too large for an etcd entry: only as many backends are exported as fit',
      );
    }
    for (const service of this.#reported) {
      if (truncated.has(service)) continue;
      this.#reported.delete(service);
      this.#log.info({ service }, 'Service fits into an etcd entry again or is gone');
    }
  }
}
