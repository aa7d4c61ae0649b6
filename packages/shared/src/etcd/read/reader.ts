/**
 * The seam between the etcd room and the programs, read side. There is no write method here: what a cluster hands to
 * its peers is read only, and so is our code for it.
 */
export type PrefixEvent =
  | { readonly kind: 'put'; readonly key: string; readonly value: Buffer; readonly revision: string }
  | { readonly kind: 'delete'; readonly key: string; readonly revision: string }
  /** A complete listing was handed over: at first, and after each relisting (reconnect, compaction). */
  | { readonly kind: 'synced'; readonly revision: string };

export interface EtcdReader {
  /** One key, or undefined. Rejects when etcd does not answer within `timeoutMs`. */
  get(key: string, timeoutMs?: number): Promise<{ readonly value: Buffer; readonly revision: string } | undefined>;
  /**
   * Lists a prefix in pages at one revision, then watches from the next. Events come in order and synchronously. After
   * a compaction or a lost watch it relists and hands over deletes for what is missing, before `synced`. Resolves when
   * `signal` aborts; rejects when the session is beyond repair (authentication, a changed cluster id).
   */
  follow(prefix: string, handle: (event: PrefixEvent) => void, signal: AbortSignal): Promise<void>;
  close(): void;
}
