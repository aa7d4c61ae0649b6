/**
 * Entries with revisions. Who asks "what changed since revision N" gets the last state of each key, never a backlog; who
 * is too far behind is told `compacted` and starts again from a snapshot.
 */
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceEntry, TableChanges, TableSnapshot } from '@tombolo/shared/model/service-table.ts';
import { freezeInTests } from '@tombolo/shared/process/validate.ts';

const DEFAULT_MEMORY = 100_000;

export class ChangeLog {
  readonly #memory: number;
  readonly #entries = new Map<ServiceKey, ServiceEntry>();
  readonly #listeners = new Set<() => void>();
  /** Which keys changed at which revision, oldest first, without gaps. */
  readonly #history: { readonly revision: number; readonly keys: readonly ServiceKey[] }[] = [];
  #remembered = 0;
  #revision = 0;
  #snapshot: TableSnapshot | undefined;

  /** `memory`: how many changes of keys to remember. */
  constructor(memory = DEFAULT_MEMORY) {
    this.#memory = memory;
  }

  /** `undefined` removes. Returns whether anything changed for readers. */
  publish(changes: ReadonlyMap<ServiceKey, ServiceEntry | undefined>): boolean {
    const real = [...changes].filter(([key, entry]) => entry !== undefined || this.#entries.has(key));
    if (real.length === 0) return false;
    for (const [key, entry] of real) {
      if (entry) this.#entries.set(key, freezeInTests(entry));
      else this.#entries.delete(key);
    }
    this.#remember(real.map(([key]) => key));
    this.#snapshot = undefined;
    for (const listener of [...this.#listeners]) listener();
    return true;
  }

  #remember(keys: readonly ServiceKey[]): void {
    this.#history.push({ revision: ++this.#revision, keys });
    this.#remembered += keys.length;
    while (this.#remembered > this.#memory) this.#remembered -= this.#history.shift()?.keys.length ?? 0;
  }

  get revision(): number {
    return this.#revision;
  }

  /** A copy is made at most once for each revision, and only when somebody asks. */
  snapshot(): TableSnapshot {
    this.#snapshot ??= { revision: this.#revision, entries: new Map(this.#entries) };
    return this.#snapshot;
  }

  changesSince(revision: number): TableChanges | 'compacted' {
    const missed = this.#revision - revision;
    if (missed < 0 || missed > this.#history.length) return 'compacted';
    const keys = new Set(this.#history.slice(this.#history.length - missed).flatMap((change) => change.keys));
    return { revision: this.#revision, changed: new Map([...keys].map((key) => [key, this.#entries.get(key)])) };
  }

  /** Called after each publication that changed something; returns the way to stop it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
