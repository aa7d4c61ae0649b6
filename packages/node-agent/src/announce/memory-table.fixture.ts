/** A service table for tests of those who read it: what it is told, at once, and in the order in which it is told. */
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts, TableReader } from '@tombolo/shared/model/service-table.ts';

export class MemoryTable implements Pick<TableReader, 'snapshot' | 'changesSince' | 'onChange'> {
  readonly #services = new Map<ServiceKey, ServiceFacts>();
  readonly #changed = new Map<ServiceKey, number>();
  readonly #listeners = new Set<() => void>();
  #oldest = 0;
  #revision = 0;

  get revision(): number {
    return this.#revision;
  }

  set(facts: ServiceFacts): void {
    this.#services.set(facts.key, facts);
    this.#publish(facts.key);
  }

  remove(key: ServiceKey): void {
    this.#services.delete(key);
    this.#publish(key);
  }

  /** Removes a Service in a way that no reader can hear of but by a new snapshot. */
  compact(key: ServiceKey): void {
    this.#services.delete(key);
    this.#changed.delete(key);
    this.#oldest = this.#revision + 1;
    this.#publish();
  }

  snapshot() {
    return { revision: this.#revision, services: new Map(this.#services) };
  }

  changesSince(revision: number) {
    if (revision < this.#oldest) return 'compacted' as const;
    const keys = [...this.#changed].filter(([, at]) => at > revision).map(([key]) => key);
    return { revision: this.#revision, changed: new Map(keys.map((key) => [key, this.#services.get(key)])) };
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #publish(key?: ServiceKey): void {
    this.#revision++;
    if (key !== undefined) this.#changed.set(key, this.#revision);
    for (const listener of this.#listeners) listener();
  }
}
