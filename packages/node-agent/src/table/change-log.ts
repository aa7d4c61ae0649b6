/**
 * Values by key, with revisions. Who asks "what changed since revision N" gets the last state of each key, never a
 * backlog; who is too far behind is told `compacted` and starts again from everything.
 */
import { freezeInTests } from '@tombolo/shared/process/validate.ts';

const DEFAULT_MEMORY = 100_000;

export interface Changes<K, V> {
  readonly revision: number;
  /** `undefined` where a key is gone. */
  readonly changed: ReadonlyMap<K, V | undefined>;
}

export class ChangeLog<K, V> {
  readonly #memory: number;
  readonly #values = new Map<K, V>();
  /** Which keys changed at which revision, oldest first. */
  readonly #history: { readonly revision: number; readonly keys: readonly K[] }[] = [];
  #remembered = 0;
  /** What changed up to here is known of no more. */
  #compacted = 0;
  #revision = 0;
  #copy: ReadonlyMap<K, V> | undefined;

  /** `memory`: how many changes of keys to remember. */
  constructor(memory = DEFAULT_MEMORY) {
    this.#memory = memory;
  }

  /** `undefined` removes. `revision` is greater than the one before. */
  publish(revision: number, changes: ReadonlyMap<K, V | undefined>): void {
    this.#revision = revision;
    if (changes.size === 0) return;
    for (const [key, value] of changes) {
      if (value === undefined) this.#values.delete(key);
      else this.#values.set(key, freezeInTests(value));
    }
    this.#copy = undefined;
    this.#history.push({ revision, keys: [...changes.keys()] });
    this.#remembered += changes.size;
    while (this.#remembered > this.#memory) {
      const oldest = this.#history.shift();
      this.#remembered -= oldest?.keys.length ?? 0;
      this.#compacted = oldest?.revision ?? revision;
    }
  }

  get revision(): number {
    return this.#revision;
  }

  /** As it is now; it changes under the reader. */
  get values(): ReadonlyMap<K, V> {
    return this.#values;
  }

  /** As it is now and stays. Made at most once for each revision, and only when somebody asks. */
  snapshot(): ReadonlyMap<K, V> {
    this.#copy ??= new Map(this.#values);
    return this.#copy;
  }

  changesSince(revision: number): Changes<K, V> | 'compacted' {
    if (revision < this.#compacted || revision > this.#revision) return 'compacted';
    const keys = new Set<K>();
    for (let at = this.#history.length - 1; at >= 0; at--) {
      const change = this.#history[at];
      if (change === undefined || change.revision <= revision) break;
      for (const key of change.keys) keys.add(key);
    }
    return { revision: this.#revision, changed: new Map([...keys].map((key) => [key, this.#values.get(key)])) };
  }
}
