import assert from 'node:assert/strict';
import { connectWriter } from '@tombolo/shared/etcd/connect.ts';
import { Keyspace } from '@tombolo/shared/etcd/keyspace/keyspace.ts';
import { EtcdError } from '@tombolo/shared/etcd/session/errors.ts';
import type { EtcdWriter } from '@tombolo/shared/etcd/write/writer.ts';
import { EtcdServer, until } from './etcd-server.ts';
import { dump, etcdctl, revisionOf } from './etcdctl.ts';
import { TcpGate } from './tcp-gate.ts';

const MEBIBYTE = 1024 * 1024;

describe('writing to a real etcd', () => {
  let server: EtcdServer;
  let gate: TcpGate;
  let writer: EtcdWriter;
  let keyspace: Keyspace;

  beforeEach(async () => {
    server = await EtcdServer.start();
    gate = await TcpGate.to(server.endpoint);
    reopen({});
  });

  afterEach(async () => {
    keyspace.close();
    writer.close();
    await gate.cut();
    await server.stop();
  });

  function reopen(options: Parameters<typeof connectWriter>[1]): void {
    keyspace?.close();
    writer?.close();
    writer = connectWriter({ endpoints: [gate.endpoint] }, options);
    keyspace = new Keyspace(writer);
  }

  async function leaseSizes(): Promise<number[]> {
    const ids = (await etcdctl(server, 'lease', 'list')).match(/^[0-9a-f]{16}$/gm) ?? [];
    const sizes = ids.map(async (id) => {
      const answer = JSON.parse(await etcdctl(server, 'lease', 'timetolive', id, '--keys', '-w', 'json'));
      assert.ok(answer['granted-ttl'] > 0);
      return (answer.keys ?? []).length;
    });
    return (await Promise.all(sizes)).toSorted((a, b) => b - a);
  }

  it('puts at most 1,000 keys on one lease', async () => {
    for (let i = 0; i < 2_500; i++) keyspace.set(`a/${i}`, 'x');
    await keyspace.whenWritten();
    assert.deepEqual(await leaseSizes(), [1_000, 1_000, 500]);
    assert.equal(writer.leases, 3);
  });

  it('lists what it wrote, deletes, and tells what could not be written', async () => {
    await writer.put('a/1', 'one');
    await assert.rejects(
      writer.put('a/big', 'x'.repeat(2 * MEBIBYTE)),
      (error) => error instanceof EtcdError && error.kind === 'too-large' && error.message.includes('"a/big"'),
    );
    await writer.put('a/2', 'two');
    const { entries } = await writer.list('a/');
    assert.deepEqual(
      [...entries].map(([key, value]) => [key, String(value)]),
      [
        ['a/1', 'one'],
        ['a/2', 'two'],
      ],
    );
    assert.equal(await writer.delete('a/1'), true);
    assert.equal(await writer.delete('a/1'), false);
    assert.equal(await writer.delete('a/2'), true);
    assert.equal((await writer.list('a/')).entries.size, 0);
  });

  for (const bytes of [1_600_000, 20 * MEBIBYTE]) {
    it(`reports a value of ${bytes} bytes with key and size, and writes everything else`, async () => {
      keyspace.set('a/big', Buffer.alloc(bytes));
      keyspace.set('a/small', 'x');
      await keyspace.whenWritten();
      assert.deepEqual([...(await dump(server, 'a/')).keys()], ['a/small']);
      const failing = keyspace.failing.get('a/big');
      assert.equal(failing?.refused, true);
      assert.match(failing.reason, new RegExp(`a/big.*${bytes} bytes.*1572864`));
      keyspace.set('a/big', 'small now');
      await keyspace.whenWritten();
      assert.equal(keyspace.failing.size, 0);
    });
  }

  it('writes a lost lease anew: the lease expired while nobody could reach etcd', async () => {
    reopen({ leaseTtlSeconds: 2 });
    for (let i = 0; i < 20; i++) keyspace.set(`a/${i}`, 'x');
    await keyspace.whenWritten();
    await gate.cut();
    await until('the keys are gone', async () => (await dump(server, 'a/')).size === 0);
    await gate.open();
    await until('the keys are back', async () => (await dump(server, 'a/')).size === 20);
    await keyspace.whenWritten();
  });

  it('keeps its leases alive beyond their time to live', async () => {
    reopen({ leaseTtlSeconds: 2 });
    keyspace.set('a/1', 'x');
    await keyspace.whenWritten();
    const [id] = (await etcdctl(server, 'lease', 'list')).match(/^[0-9a-f]{16}$/gm) ?? [];
    const other = (await etcdctl(server, 'lease', 'grant', '4')).match(/[0-9a-f]{16}/)?.[0] ?? '';
    await until(
      'a longer lease, granted later and not kept, expired',
      async () => !(await etcdctl(server, 'lease', 'list')).includes(other),
    );
    assert.match(await etcdctl(server, 'lease', 'list'), new RegExp(`^${id}$`, 'm'));
    assert.equal((await dump(server, 'a/')).size, 1);
  });

  it('writes everything again, unasked, into an etcd that lost its data', async () => {
    for (let i = 0; i < 50; i++) keyspace.set(`a/${i}`, 'x');
    await keyspace.whenWritten();
    await server.kill();
    await server.wipe();
    await server.run();
    await until('the keys are back', async () => (await dump(server, 'a/')).size === 50);
    await keyspace.whenWritten();
    assert.equal(keyspace.failing.size, 0);
  });

  it('goes on after etcd was killed, and told of what was not written meanwhile', async () => {
    keyspace.set('a/1', 'x');
    await keyspace.whenWritten();
    await server.kill();
    keyspace.set('a/1', 'y');
    keyspace.set('a/2', 'y');
    await until('failing', () => keyspace.failing.size > 0);
    for (const { reason } of keyspace.failing.values()) assert.match(reason, /expected an answer: ./);
    const written = keyspace.whenWritten();
    await server.run();
    await written;
    assert.deepEqual(Object.fromEntries(await dump(server, 'a/')), { 'a/1': 'y', 'a/2': 'y' });
    assert.equal(keyspace.failing.size, 0);
  });

  it('fails at once, after a few deadlines, on an etcd that hangs, and recovers', async () => {
    reopen({ timeoutMs: 300 });
    await writer.put('a/1', 'x');
    await server.pause();
    const started = performance.now();
    for (let i = 0; i < 60; i++) {
      await assert.rejects(
        writer.put('a/1', 'y'),
        (error) => error instanceof EtcdError && error.kind === 'unavailable',
      );
    }
    const spent = performance.now() - started;
    assert.ok(spent < 60 * 300 * 0.5, `60 writes failed in ${spent} ms`);
    server.resume();
    await until('it writes', () =>
      writer.put('a/1', 'z').then(
        () => true,
        () => false,
      ),
    );
  });

  it('puts an enforced key back at once when somebody changes or deletes it', async () => {
    keyspace.enforce('config/east', 'ours');
    await keyspace.whenWritten();
    await etcdctl(server, 'put', 'config/east', 'theirs');
    await until('put back', async () => (await dump(server, 'config/')).get('config/east') === 'ours');
    await etcdctl(server, 'del', 'config/east');
    await until('put back', async () => (await dump(server, 'config/')).get('config/east') === 'ours');
    assert.deepEqual(await leaseSizes(), [1]);
  });

  it('takes back an entry that another writer put on a lease of its own', async () => {
    // As text: the number is beyond those that JSON.parse keeps.
    const leaseOf = async (key: string) => /"lease":(\d+)/.exec(await etcdctl(server, 'get', key, '-w', 'json'))?.[1];
    for (const key of ['a/1', 'a/2']) keyspace.set(key, 'x');
    await keyspace.whenWritten();
    const ours = await leaseOf('a/1');
    const other = connectWriter({ endpoints: [server.endpoint] });
    await other.put('a/1', 'x');
    other.close();
    assert.notEqual(await leaseOf('a/1'), ours);
    const before = await revisionOf(server);
    assert.equal(await keyspace.prune('a/'), 0);
    assert.equal(await leaseOf('a/1'), ours);
    assert.equal(await revisionOf(server), before + 1, 'nothing else was written');
  });

  it('prunes leftovers only when asked, and stops without touching anything', async () => {
    await etcdctl(server, 'put', 'a/left', 'over');
    await etcdctl(server, 'put', 'b/left', 'over');
    keyspace.set('a/mine', 'x');
    await keyspace.whenWritten();
    assert.equal((await dump(server, 'a/')).size, 2);
    assert.equal(await keyspace.prune('a/'), 1);
    keyspace.close();
    writer.close();
    assert.deepEqual([...(await dump(server, '')).keys()], ['a/mine', 'b/left']);
    assert.deepEqual(await leaseSizes(), [1]);
  });
});
