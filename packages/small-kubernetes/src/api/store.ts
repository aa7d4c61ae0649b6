/**
 * The objects in memory, one counter of revisions over all of them, and the changes of the recent past. Each commit
 * takes the next revision and is handed to all listeners in order, within the same turn; a listener may commit too,
 * its change is delivered after the current one. Owns no defaults, no validation and no wire format.
 */
import { deepFreeze, type KubeObject } from './objects.ts';

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

export interface Change {
  readonly revision: number;
  readonly type: ChangeType;
  /** `group/resource`, e.g. `apps/deployments` or `/pods`. */
  readonly table: string;
  /** For DELETED the last state, with the revision of the deletion. */
  readonly object: KubeObject;
  readonly previous: KubeObject | undefined;
}

export type ChangeListener = (change: Change) => void;

export interface StoreOptions {
  /** How many changes stay replayable. */
  readonly historySize: number;
  /** The revision before the first change. */
  readonly firstRevision: number;
  readonly onListenerError?: (error: unknown) => void;
}

export class Store {
  readonly #options: StoreOptions;
  /** By table, then by `namespace/name`. */
  readonly #tables = new Map<string, Map<string, KubeObject>>();
  readonly #listeners = new Map<string, Set<ChangeListener>>();
  readonly #undelivered: Change[] = [];
  #delivering = false;
  /** `#history[i]` has revision `#compacted + 1 + i`. */
  #history: Change[] = [];
  #compacted: number;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#compacted = options.firstRevision;
  }

  get revision(): number {
    return this.#compacted + this.#history.length;
  }

  /** Changes up to and including this revision cannot be replayed any more. */
  get compactedRevision(): number {
    return this.#compacted;
  }

  get(table: string, namespace: string, name: string): KubeObject | undefined {
    return this.find(table, `${namespace}/${name}`);
  }

  /** By what `keyOf` says of it. */
  find(table: string, key: string): KubeObject | undefined {
    return this.#tables.get(table)?.get(key);
  }

  /** In the order of keys (namespace, then name). */
  list(table: string, namespace?: string): KubeObject[] {
    return [...(this.#tables.get(table)?.values() ?? [])].filter(isIn(namespace)).sort(byKey);
  }

  /** What `list` answered at an earlier revision, by undoing the changes since; `undefined` when it was compacted. */
  listAt(revision: number, table: string, namespace?: string): KubeObject[] | undefined {
    const since = this.changesSince(revision);
    if (since === undefined) return undefined;
    const objects = new Map(this.list(table).map((object) => [keyOf(object), object]));
    for (const { object, previous } of since.filter((change) => change.table === table).reverse()) {
      if (previous) objects.set(keyOf(previous), previous);
      else objects.delete(keyOf(object));
    }
    return [...objects.values()].filter(isIn(namespace)).sort(byKey);
  }

  /** Adds or replaces; gives the object its revision, freezes it and answers with it. */
  put(table: string, object: KubeObject): KubeObject {
    const objects = this.#tables.get(table) ?? new Map<string, KubeObject>();
    this.#tables.set(table, objects);
    const previous = objects.get(keyOf(object));
    const stored = this.#stamp(object);
    objects.set(keyOf(stored), stored);
    this.#commit(previous ? 'MODIFIED' : 'ADDED', table, stored, previous);
    return stored;
  }

  remove(table: string, namespace: string, name: string): KubeObject | undefined {
    const previous = this.get(table, namespace, name);
    if (!previous) return undefined;
    this.#tables.get(table)?.delete(keyOf(previous));
    const last = this.#stamp({ ...previous, metadata: { ...previous.metadata } });
    this.#commit('DELETED', table, last, previous);
    return last;
  }

  /** Oldest first; `undefined` when some of them are gone from the history. */
  changesSince(revision: number): Change[] | undefined {
    return revision < this.#compacted ? undefined : this.#history.slice(revision - this.#compacted);
  }

  /** Forgets the changes up to a revision (all, by default): watches from before it get 410 Gone. */
  compact(revision = this.revision): void {
    const dropped = Math.min(revision, this.revision) - this.#compacted;
    if (dropped <= 0) return;
    this.#history = this.#history.slice(dropped);
    this.#compacted += dropped;
  }

  /** `*` hears of all tables. Answers with the way to stop. */
  subscribe(table: string, listener: ChangeListener): () => void {
    const listeners = this.#listeners.get(table) ?? new Set();
    this.#listeners.set(table, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  #stamp(object: KubeObject): KubeObject {
    object.metadata.resourceVersion = String(this.revision + 1);
    return deepFreeze(object);
  }

  #commit(type: ChangeType, table: string, object: KubeObject, previous: KubeObject | undefined): void {
    const change: Change = { revision: this.revision + 1, type, table, object, previous };
    this.#history.push(change);
    // Trimmed in batches, so that a commit costs the same on average however long the history is.
    const { historySize } = this.#options;
    if (this.#history.length > historySize * 1.25 + 16) this.compact(this.revision - historySize);
    this.#undelivered.push(change);
    if (this.#delivering) return;
    this.#delivering = true;
    for (let next = this.#undelivered.shift(); next; next = this.#undelivered.shift()) this.#deliver(next);
    this.#delivering = false;
  }

  #deliver(change: Change): void {
    for (const name of [change.table, '*']) {
      for (const listener of this.#listeners.get(name) ?? []) {
        try {
          listener(change);
        } catch (error) {
          this.#options.onListenerError?.(error);
        }
      }
    }
  }
}

export const spaceOf = (object: KubeObject): string => object.metadata.namespace ?? '';
export const keyOf = (object: KubeObject): string => `${spaceOf(object)}/${object.metadata.name}`;

/** Of cluster-scoped objects with the namespace ''. */
const isIn = (namespace: string | undefined) => (object: KubeObject) =>
  namespace === undefined || spaceOf(object) === namespace;

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const byKey = (a: KubeObject, b: KubeObject) =>
  compare(spaceOf(a), spaceOf(b)) || compare(a.metadata.name, b.metadata.name);
