/**
 * Errors of the etcd room. The message is a sentence for people, without secrets; `kind` is what callers decide on.
 * Mapping from gRPC happens in `grpc-errors.ts`.
 */
export type EtcdErrorKind =
  /** A setting that cannot work: a bad endpoint, half a key pair. */
  | 'config'
  /** No answer, or no usable connection: try again later. */
  | 'unavailable'
  /** Authentication failed or permission was denied. */
  | 'unauthorized'
  /** The answer came from another etcd cluster than before. */
  | 'cluster-changed'
  /** The revision asked for is no longer (or not yet) known to this etcd. */
  | 'compacted'
  /** The lease of a put is unknown to etcd. */
  | 'lease-lost'
  /** Request or answer is above a size limit. */
  | 'too-large'
  /** etcd's database is full: nothing is written until an operator makes room. */
  | 'no-space'
  /** Another writer has taken over: nothing of ours was written. */
  | 'fenced'
  /** Any other refusal by etcd. */
  | 'refused'
  /** `close` was called. */
  | 'closed';

export class EtcdError extends Error {
  readonly kind: EtcdErrorKind;

  constructor(kind: EtcdErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EtcdError';
    this.kind = kind;
  }
}

/** Whether a session must be opened anew by its owner, instead of retried inside. */
export function isBeyondRepair(error: unknown): boolean {
  return error instanceof EtcdError && ['config', 'unauthorized', 'cluster-changed', 'closed'].includes(error.kind);
}

export const isSilence = (error: unknown): error is EtcdError =>
  error instanceof EtcdError && error.kind === 'unavailable';
