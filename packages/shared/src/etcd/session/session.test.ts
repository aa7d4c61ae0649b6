import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Health } from '../../process/health.ts';
import { silentLogger } from '../../process/logger.ts';
import type { Answer, CallOptions, Connection, Dial } from './connection.ts';
import { EtcdError, type EtcdErrorKind } from './errors.ts';
import { MemoryEtcd } from './memory-etcd.fixture.ts';
import { grpcError } from './memory-store.fixture.ts';
import { Session } from './session.ts';

const isOf = (kind: EtcdErrorKind) => (error: unknown) => error instanceof EtcdError && error.kind === kind;
const READ = { action: 'read "a"' };
const read = ({ kv }: Connection, options: CallOptions): Promise<Answer> =>
  kv.range({ key: Buffer.from('a') }, options);

describe('Session', () => {
  let etcd: MemoryEtcd;
  let reports: string[];
  let lines: string[];
  let dialled: string[];
  const sessions: Session[] = [];

  beforeEach(() => {
    etcd = new MemoryEtcd();
    [reports, lines, dialled] = [[], [], []];
  });

  afterEach(() => {
    mock.timers.reset();
    for (const session of sessions.splice(0)) session.close();
  });

  const open = (
    options: { pinned?: boolean; dial?: Dial; username?: string; endpoints?: readonly string[] } = {},
  ): Session => {
    const { pinned = true, dial = etcd.dial, username, endpoints = ['http://a:1'] } = options;
    const session = new Session(
      { endpoints, ...(username !== undefined && { username, password: 'secret' }) },
      {
        logger: {
          ...silentLogger,
          info: (_, msg) => void lines.push(msg),
          warn: ({ reason }, msg) => void lines.push(`${msg}: ${reason}`),
        },
        report: (health: Health) => reports.push(health.kind === 'degraded' ? health.reason : health.kind),
        random: () => 0,
        pinned,
        askAgain: { first: 60_000, limit: 60_000 },
        dial: (endpoint, tls) => {
          dialled.push(endpoint.url);
          return dial(endpoint, tls);
        },
      },
    );
    sessions.push(session);
    return session;
  };

  it('Session dials with the first call, and once for all calls', async () => {
    const session = open();
    assert.deepEqual(dialled, []);
    await Promise.all([session.call(READ, read), session.call(READ, read), session.connection()]);
    assert.deepEqual(dialled, ['http://a:1']);
  });

  it('call() reports the change to working and back, each new reason, and logs changes only', async () => {
    const session = open();
    await session.call(READ, read);
    await session.call(READ, read);
    etcd.down();
    await assert.rejects(session.call(READ, read), isOf('unavailable'));
    const reason = 'Cannot read "a" at http://a:1: expected an answer: connect ECONNREFUSED';
    assert.deepEqual(reports, ['ok', reason]);
    session.drop(undefined, new EtcdError('unavailable', 'another reason'));
    etcd.up();
    session.confirm({ cluster_id: etcd.clusterId, revision: '1' });
    assert.deepEqual(reports, ['ok', reason, 'another reason', 'ok']);
    assert.deepEqual(lines, [`etcd does not work: ${reason}`, 'etcd works again']);
  });

  it('call() takes the next endpoint after a connection that broke, and no other after a refusal', async () => {
    const session = open({ endpoints: ['http://a:1', 'http://b:2'] });
    etcd.refuse = () => grpcError(3, 'etcdserver: request is too large');
    await assert.rejects(session.call(READ, read), isOf('too-large'));
    etcd.refuse = () => undefined;
    await session.call(READ, read);
    assert.deepEqual(dialled, ['http://a:1']);
    etcd.cut();
    await assert.rejects(session.call(READ, read), isOf('unavailable'));
    session.confirm({ cluster_id: etcd.clusterId, revision: '1' });
    await session.call(READ, read);
    assert.deepEqual(dialled, ['http://a:1', 'http://b:2']);
    assert.equal(session.where, 'http://b:2');
  });

  it('call() asks a silent etcd once, and answers for it until it is time to ask again', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const session = open();
    etcd.down();
    for (let i = 0; i < 5; i++) await assert.rejects(session.call(READ, read), isOf('unavailable'));
    assert.equal(etcd.calls.length, 1);
    etcd.up();
    mock.timers.tick(60_000);
    await session.call(READ, read);
    await session.call(READ, read);
  });

  it('call() that is patient waits for an etcd that does not answer, all of them for one that asks', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const session = open();
    etcd.down();
    const calls = [1, 2, 3].map(() => session.call({ ...READ, patient: true }, read));
    for (let i = 0; i < 5; i++) await nextTurn();
    const before = etcd.calls.length;
    await assert.rejects(session.call(READ, read), isOf('unavailable'));
    etcd.up();
    mock.timers.tick(60_000);
    await Promise.all(calls);
    assert.equal(etcd.calls.length, before + calls.length);
  });

  it('call() that is patient ends with a refusal, with its signal and with the session', async () => {
    const session = open();
    etcd.refuse = () => grpcError(7, 'etcdserver: permission denied');
    await assert.rejects(session.call({ ...READ, patient: true }, read), isOf('unauthorized'));
    etcd.refuse = () => undefined;
    etcd.down();
    const giveUp = new AbortController();
    const given = assert.rejects(session.call({ ...READ, patient: true, signal: giveUp.signal }, read), EtcdError);
    const closed = assert.rejects(session.call({ ...READ, patient: true }, read), isOf('closed'));
    for (let i = 0; i < 5; i++) await nextTurn();
    giveUp.abort();
    await given;
    session.close();
    await closed;
  });

  it('call() gives up at its deadline, and when its signal aborts', async () => {
    const session = open();
    etcd.hang();
    await assert.rejects(session.call({ ...READ, timeoutMs: 1 }, read), /expected an answer/);
    const giveUp = new AbortController();
    session.confirm({ cluster_id: etcd.clusterId, revision: '1' });
    const call = session.call({ ...READ, signal: giveUp.signal }, read);
    giveUp.abort();
    await assert.rejects(call, isOf('closed'));
  });

  it('ready() resolves at once while etcd answers, and after a silence when it was heard', async () => {
    const session = open();
    const { signal } = new AbortController();
    await session.ready(signal);
    etcd.down();
    await assert.rejects(session.call(READ, read), isOf('unavailable'));
    let ready = false;
    const waiting = session.ready(signal).then(() => {
      ready = true;
    });
    await assert.rejects(session.call(READ, read), isOf('unavailable'));
    assert.equal(ready, false);
    session.confirm({ cluster_id: etcd.clusterId, revision: '1' });
    await waiting;
  });

  it('drop() replaces a connection once, whoever finds it broken', async () => {
    const session = open();
    const broken = await session.connection();
    const reason = new EtcdError('unavailable', 'the stream ended');
    session.drop(broken, reason);
    session.drop(broken, reason);
    const next = await session.connection();
    assert.notEqual(next, broken);
    session.drop(broken, reason);
    assert.equal(await session.connection(), next);
    await assert.rejects(read(broken, { deadline: Date.now() + 1_000, signal: session.closed }), /closed/);
  });

  it('a pinned session ends when another cluster answers, and says so to every later call', async () => {
    const session = open();
    await session.call(READ, read);
    etcd.clusterId = '255';
    await assert.rejects(session.call(READ, read), isOf('cluster-changed'));
    await assert.rejects(session.call(READ, read), /expected cluster id 7: current value is ff/);
    assert.throws(() => session.confirm({ cluster_id: '7', revision: '1' }), isOf('cluster-changed'));
    assert.ok(session.closed.aborted);
    assert.match(reports.at(-1) ?? '', /expected cluster id 7/);
  });

  it('a session that is not pinned goes on with another cluster', async () => {
    const session = open({ pinned: false });
    await session.call(READ, read);
    etcd.clusterId = '255';
    await session.call(READ, read);
    assert.deepEqual(reports, ['ok']);
  });

  it('close() ends what is under way and the connection, and nothing is reported after', async () => {
    const session = open();
    const connection = await session.connection();
    etcd.hang();
    const call = session.call(READ, read);
    session.close();
    await assert.rejects(call, isOf('closed'));
    await assert.rejects(session.connection(), isOf('closed'));
    etcd.resume();
    await assert.rejects(read(connection, { deadline: Date.now() + 1_000, signal: new AbortController().signal }));
    assert.deepEqual(reports, []);
  });

  const withUsers = (authenticate: Connection['authenticate']) => {
    const closed: boolean[] = [];
    const dial: Dial = async (endpoint, tls) => {
      const connection = await etcd.dial(endpoint, tls);
      const close = connection.close.bind(connection);
      return Object.assign(connection, {
        authenticate,
        close: () => {
          closed.push(true);
          close();
        },
      });
    };
    return { dial, closed };
  };

  it('connection() authenticates each time with user and password', async () => {
    const asked: string[] = [];
    const { dial } = withUsers(async (name, password) => void asked.push(`${name} ${password}`));
    const session = open({ dial, username: 'reader' });
    session.drop(await session.connection(), new EtcdError('unavailable', 'broke'));
    await session.connection();
    assert.deepEqual(asked, ['reader secret', 'reader secret']);
  });

  it('connection() needs no user where authentication is switched off', async () => {
    const { dial } = withUsers(() => Promise.reject(grpcError(9, 'etcdserver: authentication is not enabled')));
    await open({ dial, username: 'reader' }).call(READ, read);
  });

  it('call() with a wrong password says so, without it, and closes the connection', async () => {
    const { dial, closed } = withUsers(() => Promise.reject(grpcError(3, 'etcdserver: authentication failed')));
    const session = open({ dial, username: 'reader' });
    await assert.rejects(
      session.call(READ, read),
      (error) => isOf('unauthorized')(error) && !/secret/.test(String(error)),
    );
    assert.deepEqual(closed, [true]);
    assert.match(reports.at(-1) ?? '', /authenticate user "reader"/);
  });
});
