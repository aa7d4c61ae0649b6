/**
 * An etcd in memory, read by `EtcdReader`s as the real one is: revisions, complete listings, watches, faults. Strict: a
 * read outside what a peer's role allows, or after `close`, throws.
 */
import { strict as assert } from 'node:assert';
import type { EtcdReader, PrefixEvent } from '@tombolo/shared/etcd/read/reader.ts';

interface Follower {
  readonly prefix: string;
  readonly handle: (event: PrefixEvent) => void;
  readonly end: (error?: Error) => void;
  readonly known: Set<string>;
}

export class FakeEtcd {
  readonly #cluster: string;
  readonly #entries = new Map<string, { value: string; revision: number }>();
  readonly #followers = new Set<Follower>();
  #revision = 1;
  #down: Error | undefined;
  /** Calls fail, and watches go on. */
  failsGets = false;
  /** Readers opened and not yet closed, and how many there ever were. */
  open = 0;
  opened = 0;

  constructor(cluster: string) {
    this.#cluster = cluster;
  }

  get followed(): readonly string[] {
    return [...this.#followers].map(({ prefix }) => prefix).sort();
  }

  put(key: string, value: string): void {
    const entry = { value, revision: ++this.#revision };
    this.#entries.set(key, entry);
    for (const follower of this.#matching(key)) send(follower, key, entry);
  }

  delete(key: string): void {
    this.#entries.delete(key);
    this.#revision++;
    for (const follower of this.#matching(key)) this.#sendDelete(follower, key);
  }

  /** Writes all that there is once more, as an exporter does when it starts. */
  rewrite(): void {
    for (const [key, { value }] of [...this.#entries]) this.put(key, value);
  }

  /** From now on calls fail, until `up`. Watches stay open and hear nothing, as the real reader repairs them itself. */
  down(reason = 'connection refused'): void {
    this.#down = new Error(`Cannot reach etcd: ${reason}`);
  }

  /** Watches list anew, in the order in which they were opened, or the other way round. */
  up(order: 'first-to-last' | 'last-to-first' = 'first-to-last'): void {
    this.#down = undefined;
    const followers = [...this.#followers];
    for (const follower of order === 'first-to-last' ? followers : followers.reverse()) this.#list(follower);
  }

  /** The data is lost; revisions count from 1 again. */
  wipe(): void {
    this.#entries.clear();
    this.#revision = 1;
  }

  /** A snapshot; what it returns restores it, and whoever watches lists anew. */
  snapshot(): () => void {
    const [entries, revision] = [new Map(this.#entries), this.#revision];
    return () => {
      this.wipe();
      for (const [key, entry] of entries) this.#entries.set(key, entry);
      this.#revision = revision;
      for (const follower of [...this.#followers]) this.#list(follower);
    };
  }

  /** Ends all sessions, as a changed cluster id or an authentication error does. */
  breakSessions(reason: string): void {
    for (const follower of [...this.#followers]) follower.end(new Error(reason));
  }

  reader(): EtcdReader {
    this.open++;
    this.opened++;
    let closed = false;
    const check = (path: string) => {
      assert.ok(!closed, `read of ${path} after close`);
      this.#checkRole(path);
    };
    return {
      get: async (key) => {
        check(key);
        await Promise.resolve();
        if (this.#down) throw this.#down;
        if (this.failsGets) throw new Error('Cannot read: too many requests');
        const entry = this.#entries.get(key);
        return entry && { value: Buffer.from(entry.value), revision: String(entry.revision) };
      },
      follow: (prefix, handle, signal) => {
        check(prefix);
        return this.#follow(prefix, handle, signal);
      },
      close: () => {
        if (!closed) this.open--;
        closed = true;
      },
    };
  }

  #follow(prefix: string, handle: (event: PrefixEvent) => void, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return resolve();
      const end = (error?: Error) => {
        this.#followers.delete(follower);
        signal.removeEventListener('abort', aborted);
        if (error) reject(error);
        else resolve();
      };
      const aborted = () => end();
      const follower: Follower = { prefix, handle, end, known: new Set() };
      signal.addEventListener('abort', aborted);
      this.#followers.add(follower);
      queueMicrotask(() => {
        if (this.#followers.has(follower) && !this.#down) this.#list(follower);
      });
    });
  }

  #list(follower: Follower): void {
    for (const [key, entry] of this.#entries) if (key.startsWith(follower.prefix)) send(follower, key, entry);
    for (const key of [...follower.known]) if (!this.#entries.has(key)) this.#sendDelete(follower, key);
    follower.handle({ kind: 'synced', revision: String(this.#revision) });
  }

  #sendDelete(follower: Follower, key: string): void {
    if (follower.known.delete(key)) follower.handle({ kind: 'delete', key, revision: String(this.#revision) });
  }

  #matching(key: string): readonly Follower[] {
    return this.#down ? [] : [...this.#followers].filter(({ prefix }) => key.startsWith(prefix));
  }

  /** What Cilium's role for peers may read, and the mirror's prefixes. */
  #checkRole(path: string): void {
    const allowed = ['cilium/.heartbeat', 'cilium/state/', 'cilium/cache/', `cilium/synced/${this.#cluster}/`];
    const config = `cilium/cluster-config/${this.#cluster}`;
    assert.ok(path === config || allowed.some((prefix) => path.startsWith(prefix)), `no permission to read ${path}`);
  }
}

function send(follower: Follower, key: string, { value, revision }: { value: string; revision: number }): void {
  follower.known.add(key);
  follower.handle({ kind: 'put', key, value: Buffer.from(value), revision: String(revision) });
}
