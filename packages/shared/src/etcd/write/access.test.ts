import assert from 'node:assert/strict';
import type { AuthCalls, CallOptions, Connection } from '../session/connection.ts';
import type { CallSettings, Session } from '../session/session.ts';
import { restrictAccess } from './access.ts';

interface Permission {
  readonly permType: string;
  readonly key: Buffer;
  readonly range_end: Buffer;
}

/** The users and roles of an etcd, and what was asked of it that changes them. */
class Users {
  readonly roles = new Map<string, Permission[]>();
  readonly users = new Map<string, { readonly password: boolean; readonly roles: Set<string> }>();
  readonly log: string[] = [];

  readonly #auth = {
    roleList: async () => ({ roles: [...this.roles.keys()] }),
    roleAdd: async ({ name }: { name: string }) => {
      assert.ok(!this.roles.has(name), 'etcd refuses a role that is there');
      this.log.push(`role ${name}`);
      this.roles.set(name, []);
    },
    roleGet: async ({ role }: { role: string }) => ({ perm: this.roles.get(role) ?? assert.fail() }),
    roleGrantPermission: async ({ name, perm }: { name: string; perm: Permission }) => {
      this.log.push(`${name} may ${perm.permType} ${perm.key} to ${perm.range_end}`);
      this.roles.get(name)?.push(perm);
    },
    userList: async () => ({ users: [...this.users.keys()] }),
    userAdd: async ({
      name,
      password,
      options,
    }: {
      name: string;
      password: string;
      options: { no_password: boolean };
    }) => {
      assert.ok(!this.users.has(name), 'etcd refuses a user that is there');
      this.log.push(`user ${name}`);
      this.users.set(name, { password: !options.no_password || password !== '', roles: new Set() });
    },
    userGet: async ({ name }: { name: string }) => ({ roles: [...(this.users.get(name) ?? assert.fail()).roles] }),
    userGrantRole: async ({ user, role }: { user: string; role: string }) => {
      this.log.push(`${user} is a ${role}`);
      this.users.get(user)?.roles.add(role);
    },
    authEnable: async () => void this.log.push('closed'),
  } as unknown as AuthCalls;

  readonly session = {
    call: async <T>(_: CallSettings, run: (to: Connection, options: CallOptions) => T) =>
      run({ auth: this.#auth } as unknown as Connection, {} as CallOptions),
  } as unknown as Session;
}

const READER = { user: 'remote', keys: ['config/east'], prefixes: ['state/', 'synced/'] };

describe('restrictAccess()', () => {
  it('lets the reader read its keys and prefixes, and closes etcd to all others when root can get in', async () => {
    const etcd = new Users();
    await restrictAccess(etcd.session, READER);
    assert.deepEqual(etcd.log, [
      ...['role root', 'user root', 'root is a root', 'role remote', 'remote may Read config/east to '],
      ...[
        'remote may Read state/ to state0',
        'remote may Read synced/ to synced0',
        'user remote',
        'remote is a remote',
      ],
      'closed',
    ]);
    assert.deepEqual(
      [...etcd.users.values()].map(({ password }) => password),
      [false, false],
    );
  });

  it('adds what is missing and nothing else', async () => {
    const etcd = new Users();
    await restrictAccess(etcd.session, READER);
    etcd.log.length = 0;
    await restrictAccess(etcd.session, READER);
    assert.deepEqual(etcd.log, ['closed']);
    await restrictAccess(etcd.session, { ...READER, keys: ['config/east', 'state/'], prefixes: [] });
    assert.deepEqual(etcd.log, ['closed', 'remote may Read state/ to ', 'closed'], 'a key is no prefix');
    etcd.users.get('remote')?.roles.clear();
    await restrictAccess(etcd.session, READER);
    assert.deepEqual(etcd.log.slice(3), ['remote is a remote', 'closed']);
  });
});
