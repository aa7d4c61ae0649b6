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

type Table = Map<string, Map<string, KubeObject>>;

export class Store {
  readonly #options: StoreOptions;
  readonly #tables = new Map<string, Table>();
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
    return this.#tables.get(table)?.get(namespace)?.get(name);
  }

  /** In the order of keys (namespace, then name). */
  list(table: string, namespace?: string): KubeObject[] {
    const spaces = this.#tables.get(table);
    if (!spaces) return [];
    const chosen = namespace === undefined ? [...spaces.keys()].sort() : [namespace];
    return chosen.flatMap((space) => [...(spaces.get(space)?.values() ?? [])].sort(byName));
  }

  /** Without order and copies: for controllers that look at all. */
  *all(table: string, namespace?: string): Iterable<KubeObject> {
    const spaces = this.#tables.get(table);
    if (!spaces) return;
    if (namespace !== undefined) yield* spaces.get(namespace)?.values() ?? [];
    else for (const space of spaces.values()) yield* space.values();
  }

  /** What `list` answered at an earlier revision, by undoing the changes since; `undefined` when it was compacted. */
  listAt(revision: number, table: string, namespace?: string): KubeObject[] | undefined {
    const since = this.changesSince(revision);
    if (since === undefined) return undefined;
    const undone = since.filter(
      (c) => c.table === table && (namespace === undefined || spaceOf(c.object) === namespace),
    );
    if (undone.length === 0) return this.list(table, namespace);
    const objects = new Map(this.list(table, namespace).map((object) => [keyOf(object), object]));
    for (const { object, previous } of undone.reverse()) {
      if (previous) objects.set(keyOf(previous), previous);
      else objects.delete(keyOf(object));
    }
    return [...objects.values()].sort(byKey);
  }

  /** Adds or replaces; gives the object its revision, freezes it and answers with it. */
  put(table: string, object: KubeObject): KubeObject {
    const space = this.#space(table, spaceOf(object));
    const previous = space.get(object.metadata.name);
    const stored = this.#stamp(object);
    space.set(stored.metadata.name, stored);
    this.#commit({
      revision: this.revision + 1,
      type: previous ? 'MODIFIED' : 'ADDED',
      table,
      object: stored,
      previous,
    });
    return stored;
  }

  remove(table: string, namespace: string, name: string): KubeObject | undefined {
    const space = this.#space(table, namespace);
    const previous = space.get(name);
    if (!previous) return undefined;
    space.delete(name);
    const last = this.#stamp({ ...previous, metadata: { ...previous.metadata } });
    this.#commit({ revision: this.revision + 1, type: 'DELETED', table, object: last, previous });
    return last;
  }

  /** Oldest first; `undefined` when some of them are gone from the history. */
  changesSince(revision: number): Change[] | undefined {
    if (revision < this.#compacted) return undefined;
    return this.#history.slice(revision - this.#compacted);
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
    this.#listeners.set(table, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Puts back what was saved, at its old revisions. Only for an empty store that nobody listens to yet. */
  restore(revision: number, objects: Iterable<readonly [table: string, object: KubeObject]>): void {
    if (this.#tables.size > 0) throw new Error('Cannot restore objects: expected an empty store');
    for (const [table, object] of objects) {
      this.#space(table, spaceOf(object)).set(object.metadata.name, deepFreeze(object));
    }
    this.#compacted = Math.max(revision, this.#compacted);
  }

  *entries(): Iterable<readonly [table: string, object: KubeObject]> {
    for (const [table, spaces] of this.#tables) {
      for (const space of spaces.values()) for (const object of space.values()) yield [table, object];
    }
  }

  #space(table: string, namespace: string): Map<string, KubeObject> {
    const spaces: Table = this.#tables.get(table) ?? new Map();
    this.#tables.set(table, spaces);
    const space = spaces.get(namespace) ?? new Map<string, KubeObject>();
    spaces.set(namespace, space);
    return space;
  }

  #stamp(object: KubeObject): KubeObject {
    object.metadata.resourceVersion = String(this.revision + 1);
    return deepFreeze(object);
  }

  #commit(change: Change): void {
    this.#history.push(change);
    // Trimmed in batches, so that a commit costs the same on average however long the history is.
    if (this.#history.length > this.#options.historySize * 1.25 + 16) {
      this.compact(this.revision - this.#options.historySize);
    }
    this.#undelivered.push(change);
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      for (let next = this.#undelivered.shift(); next; next = this.#undelivered.shift()) this.#deliver(next);
    } finally {
      this.#delivering = false;
    }
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

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const byName = (a: KubeObject, b: KubeObject) => compare(a.metadata.name, b.metadata.name);
const byKey = (a: KubeObject, b: KubeObject) => compare(spaceOf(a), spaceOf(b)) || byName(a, b);
