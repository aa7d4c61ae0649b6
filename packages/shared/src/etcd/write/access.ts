/**
 * Who may do what in our own etcd, where clients show certificates: the name in one is the name of a user. There are two
 * of them: root, which is us, and one reader. Adds what is missing and takes nothing away, so it is safe to repeat.
 */
import { type KeyRange, prefixRange } from '../read/key-range.ts';
import type { Answer, AuthCalls, CallOptions } from '../session/connection.ts';
import type { Session } from '../session/session.ts';

/** What is granted to the one user that is not us. */
export interface ReadAccess {
  readonly user: string;
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
}

type Ask = <T extends Answer>(action: string, run: (auth: AuthCalls, options: CallOptions) => Promise<T>) => Promise<T>;

/** Afterwards nobody else may read, and nobody but root may write. Rejects with an `EtcdError`. */
export async function restrictAccess(session: Session, { user, keys, prefixes }: ReadAccess): Promise<void> {
  const ask: Ask = (action, run) => session.call({ action }, ({ auth }, options) => run(auth, options));
  const single = keys.map((key) => ({ key: Buffer.from(key), end: Buffer.alloc(0) }));
  await ensureUser(ask, 'root', []);
  await ensureUser(ask, user, [...single, ...prefixes.map(prefixRange)]);
  await ask('enable authentication', (auth, options) => auth.authEnable(options));
}

/** A user without a password, and its role of the same name. */
async function ensureUser(ask: Ask, name: string, reads: readonly KeyRange[]): Promise<void> {
  const { roles } = await ask('list roles', (auth, options) => auth.roleList(options));
  if (!roles.includes(name)) await ask(`add role "${name}"`, (auth, options) => auth.roleAdd({ name }, options));
  const { perm } = await ask(`read role "${name}"`, (auth, options) => auth.roleGet({ role: name }, options));
  for (const { key, end } of reads) {
    if (perm.some((had) => had.key.equals(key) && had.range_end.equals(end))) continue;
    const request = { name, perm: { permType: 'Read', key, range_end: end } } as const;
    await ask(`let "${name}" read "${key}"`, (auth, options) => auth.roleGrantPermission(request, options));
  }
  const { users } = await ask('list users', (auth, options) => auth.userList(options));
  const user = { name, password: '', options: { no_password: true } };
  if (!users.includes(name)) await ask(`add user "${name}"`, (auth, options) => auth.userAdd(user, options));
  const granted = await ask(`read user "${name}"`, (auth, options) => auth.userGet({ name }, options));
  if (granted.roles.includes(name)) return;
  await ask(`give "${name}" its role`, (auth, options) => auth.userGrantRole({ user: name, role: name }, options));
}
