/**
 * The seam between the etcd room and the programs, read side. There is no write method here: what a cluster hands to
 * its peers is read only, and so is our code for it.
 */
export type PrefixEvent =
  /** The value is a view of the message that it came in, of a MB or so: keep a copy, or what was read from it. */
  | { readonly kind: 'put'; readonly key: string; readonly value: Buffer; readonly revision: string }
  | { readonly kind: 'delete'; readonly key: string; readonly revision: string }
  /** A complete listing was handed over: at first, and after each relisting (reconnect, compaction). */
  | { readonly kind: 'synced'; readonly revision: string };

export interface EtcdReader {
  /**
   * One key, or undefined, as soon as etcd answers: that it does not is no reason to reject, unless `timeoutMs` limits the
   * patience. Rejects when the session is beyond repair or closed.
   */
  get(key: string, timeoutMs?: number): Promise<{ readonly value: Buffer; readonly revision: string } | undefined>;
  /**
   * Lists a prefix in pages at one revision, then watches from the next. Events come in order, each in a call of its
   * own, for a few ms a turn of the event loop; nothing more is asked of etcd until they are handled. After a compaction
   * or a change of etcd's history it relists and hands over deletes for what is missing, before `synced`. Resolves when
   * `signal` aborts; rejects when the session is beyond repair (authentication, a changed cluster id).
   */
  follow(prefix: string, handle: (event: PrefixEvent) => void, signal: AbortSignal): Promise<void>;
  close(): void;
}
