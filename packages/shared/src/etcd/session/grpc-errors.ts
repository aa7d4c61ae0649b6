/** gRPC and etcd errors → `EtcdError`: what was tried, where, and what came back. Decides by code and by etcd's texts. */
import { EtcdError, type EtcdErrorKind } from './errors.ts';

const BY_TEXT: readonly (readonly [text: string, kind: EtcdErrorKind])[] = [
  ['etcdserver: permission denied', 'unauthorized'],
  ['etcdserver: authentication failed', 'unauthorized'],
  ['etcdserver: user name is empty', 'unauthorized'],
  ['etcdserver: user name not found', 'unauthorized'],
  // A token outlived its time, or users were changed since: the next connection authenticates again.
  ['etcdserver: invalid auth token', 'unavailable'],
  ['etcdserver: revision of auth store is old', 'unavailable'],
  ['etcdserver: too many requests', 'unavailable'],
  ['etcdserver: mvcc: required revision', 'compacted'],
  ['etcdserver: requested lease not found', 'lease-lost'],
  ['etcdserver: mvcc: database space exceeded', 'no-space'],
  ['etcdserver: no space', 'no-space'],
  ['etcdserver: request is too large', 'too-large'],
  ['message larger than max', 'too-large'],
  ['larger than max (', 'too-large'],
];

const BY_CODE: ReadonlyMap<number, EtcdErrorKind> = new Map([
  [1, 'unavailable'], // CANCELLED
  [2, 'unavailable'], // UNKNOWN
  [4, 'unavailable'], // DEADLINE_EXCEEDED
  [7, 'unauthorized'], // PERMISSION_DENIED
  [13, 'unavailable'], // INTERNAL: a broken HTTP/2 stream
  [14, 'unavailable'], // UNAVAILABLE
  [16, 'unauthorized'], // UNAUTHENTICATED
]);

/** `action` as in "list prefix \"a/\""; `where` is an endpoint as configured. */
export function toEtcdError(cause: unknown, action: string, where: string): EtcdError {
  if (cause instanceof EtcdError) return cause;
  const { text, code } = partsOf(cause);
  const known = BY_TEXT.find(([part]) => text.includes(part))?.[1] ?? BY_CODE.get(code ?? -1);
  // Without a gRPC code it never reached etcd.
  const kind = known ?? (code === undefined ? 'unavailable' : 'refused');
  const expected = EXPECTED[kind] ?? 'an answer';
  return new EtcdError(kind, `Cannot ${action} at ${where}: expected ${expected}: ${text}`, { cause });
}

const EXPECTED: Readonly<Partial<Record<EtcdErrorKind, string>>> = {
  unauthorized: 'permission',
  compacted: 'a revision that etcd still has',
  'lease-lost': 'a lease that etcd knows',
  'no-space': 'space in its database',
  'too-large': "a message within the limit (for a write 1572864 bytes, etcd's default)",
};

function partsOf(cause: unknown): { text: string; code: number | undefined } {
  if (!(cause instanceof Error)) return { text: String(cause), code: undefined };
  const code = 'code' in cause && typeof cause.code === 'number' ? cause.code : undefined;
  const details = 'details' in cause && typeof cause.details === 'string' ? cause.details : cause.message;
  return { text: essenceOf(details), code };
}

/** gRPC wraps the reason into phrases about its own resolving, picking and waiting, with the time of day. */
function essenceOf(details: string): string {
  const waited = /^Deadline exceeded after ([\d.]+)s/.exec(details)?.[1];
  if (waited !== undefined) return `none came within ${Number(waited)} s`;
  const last = /Last error: (?:Error: )?(.+?)(?:\. Resolution note: .*)?$/s.exec(details);
  const text = (last?.[1] ?? details).replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)/g, '').trim();
  const [untrusted] = UNTRUSTED.exec(text) ?? [];
  if (untrusted !== undefined)
    return `its certificate is of another authority than the one that is given (${untrusted})`;
  return text || 'no reason given';
}

/** What OpenSSL says of it; Node adds advice about the machine's own authorities, which are not asked here. */
const UNTRUSTED =
  /unable to verify the first certificate|self-signed certificate|unable to get local issuer certificate/;
