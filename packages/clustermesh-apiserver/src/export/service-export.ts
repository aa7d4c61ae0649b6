/**
 * Services and their EndpointSlices → entries under `services/v1`. Exported is what is shared and in a namespace that
 * takes part; whatever is not has no entry.
 */
import type { LocalFacts } from '@tombolo/shared/local/local-facts.ts';
import type { ClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import { type ServiceKey, splitServiceKey } from '@tombolo/shared/model/service.ts';
import { type Logger, silentLogger } from '@tombolo/shared/process/logger.ts';
import { type EntryChanges, type EntrySource, ExportedValues } from './entries.ts';
import { serviceEntry, type Truncation } from './service-entry.ts';

/**
 * What one entry may add to etcd's history, so that one of 10,000 backends is written less than once a second, and what of
 * it is too little to count.
 */
const BYTES_PER_SECOND = 768 * 1024;
const LARGE_BYTES = 64 * 1024;

export class ServiceExport implements EntrySource {
  readonly #cluster: ClusterIdentity;
  readonly #facts: LocalFacts;
  readonly #limit: number;
  readonly #log: Logger;
  readonly #dirty = new Set<ServiceKey>();
  readonly #exported = new ExportedValues();
  readonly #truncated = new Set<ServiceKey>();
  readonly #refused = new Set<ServiceKey>();
  /** Until when a large entry is not made anew. */
  readonly #notBefore = new Map<ServiceKey, number>();
  #heldBackUntil: number | undefined;

  /** An entry longer than `limit` in bytes is cut short. */
  constructor(cluster: ClusterIdentity, facts: LocalFacts, limit: number, log = silentLogger) {
    this.#cluster = cluster;
    this.#facts = facts;
    this.#limit = limit;
    this.#log = log;
    facts.onService((key) => this.#dirty.add(key));
  }

  /** Nothing is known of it but that it exists: what an earlier life said of it stays. */
  serviceRefused(key: ServiceKey): void {
    if (!this.#facts.services.has(key)) this.#refused.add(key);
  }

  /** The Service can be read, or is gone. */
  serviceHeard(key: ServiceKey): void {
    this.#refused.delete(key);
  }

  /** Newest facts win, the first of a large entry at once. It is held back before it is made, which costs as much. */
  takeChanges(now: number): EntryChanges {
    const entries = new Map<ServiceKey, string | undefined>();
    this.#heldBackUntil = undefined;
    for (const key of this.#dirty) {
      const notBefore = this.#notBefore.get(key) ?? now;
      if (notBefore > now) {
        this.#heldBackUntil = Math.min(notBefore, this.#heldBackUntil ?? notBefore);
        continue;
      }
      this.#dirty.delete(key);
      const value = this.#entry(key);
      if (value === undefined || value.length < LARGE_BYTES) this.#notBefore.delete(key);
      else this.#notBefore.set(key, now + (value.length / BYTES_PER_SECOND) * 1_000);
      entries.set(key, value);
    }
    return this.#exported.update(entries);
  }

  get heldBackUntil(): number | undefined {
    return this.#heldBackUntil;
  }

  get keep(): ReadonlySet<string> {
    return this.#refused;
  }

  /** Services whose entry lacks backends because etcd takes no greater one. */
  get truncated(): ReadonlySet<ServiceKey> {
    return this.#truncated;
  }

  get size(): number {
    return this.#exported.size;
  }

  #entry(key: ServiceKey): string | undefined {
    const service = this.#facts.services.get(key);
    const isExported = service?.shared && this.#facts.takesPart(splitServiceKey(key).namespace);
    const entry = isExported && serviceEntry(this.#cluster, service, this.#facts.endpointsOf(key), this.#limit);
    this.#setTruncation(key, entry ? entry.truncation : undefined);
    return entry ? entry.value : undefined;
  }

  #setTruncation(service: ServiceKey, truncation: Truncation | undefined): void {
    const wasTruncated = this.#truncated.delete(service);
    if (truncation) this.#truncated.add(service);
    if (truncation && !wasTruncated) {
      const message = 'Service is too large for an etcd entry: only as many backends are exported as fit';
      this.#log.warn({ service, ...truncation }, message);
    }
    if (wasTruncated && !truncation) this.#log.info({ service }, 'Service fits into an etcd entry again or is gone');
  }
}
