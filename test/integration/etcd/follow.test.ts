import assert from 'node:assert/strict';
import { connectReader, connectWriter } from '@tombolo/shared/etcd/connect.ts';
import type { EtcdReader } from '@tombolo/shared/etcd/read/reader.ts';
import { EtcdError } from '@tombolo/shared/etcd/session/errors.ts';
import type { EtcdWriter } from '@tombolo/shared/etcd/write/writer.ts';
import { deleteAll, putAll } from './bulk.ts';
import { EtcdServer, until } from './etcd-server.ts';
import { dump, etcdctl, revisionOf } from './etcdctl.ts';
import { Mirror } from './mirror.ts';
import { TcpGate } from './tcp-gate.ts';

describe('following a prefix of a real etcd', () => {
  let server: EtcdServer;
  let gate: TcpGate;
  let reader: EtcdReader;
  let writer: EtcdWriter;
  let mirror: Mirror | undefined;

  beforeEach(async () => {
    server = await EtcdServer.start();
    gate = await TcpGate.to(server.endpoint);
    reader = connectReader({ endpoints: [gate.endpoint] });
    writer = connectWriter({ endpoints: [server.endpoint] });
  });

  afterEach(async () => {
    await mirror?.stop();
    reader.close();
    writer.close();
    await gate.cut();
    await server.stop();
  });

  function follow(prefix: string, from = reader): Mirror {
    mirror = new Mirror(from, prefix);
    return mirror;
  }

  async function agrees(prefix: string, seen: Mirror): Promise<void> {
    await until('the mirror agrees with etcd', async () => {
      const truth = await dump(server, prefix);
      return truth.size === seen.state.size && [...truth].every(([key, value]) => seen.state.get(key) === value);
    });
  }

  it('lists 20,000 keys of 640 bytes in pages, sorted, and only what is under the prefix', async () => {
    const value = 'v'.repeat(640);
    const keys = Array.from({ length: 20_000 }, (_, i) => `a/${String(i).padStart(6, '0')}`);
    await putAll(
      writer,
      keys.map((key) => [key, value] as const),
    );
    await writer.put('a-2/neighbour', value);
    const seen = follow('a/');
    await until('synced', () => seen.syncs === 1);
    assert.deepEqual([...seen.state.keys()], keys);
    assert.ok([...seen.state.values()].every((found) => found === value));
  });

  it('misses nothing that is written while it lists', async () => {
    await putAll(
      writer,
      Array.from({ length: 300 }, (_, i) => [`a/${i}`, 'old'] as const),
    );
    const paged = connectReader({ endpoints: [gate.endpoint] }, { pageBytes: 20 });
    const seen = follow('a/', paged);
    await Promise.all([
      putAll(
        writer,
        Array.from({ length: 300 }, (_, i) => [`a/${i * 2}`, 'new'] as const),
      ),
      deleteAll(
        writer,
        Array.from({ length: 100 }, (_, i) => `a/${i * 3 + 1}`),
      ),
    ]);
    await agrees('a/', seen);
    paged.close();
  });

  it('resumes a broken watch from the next revision: every event once, in order', async () => {
    await writer.put('a/count', '0');
    const seen = follow('a/');
    await until('synced', () => seen.syncs === 1);
    for (let round = 0; round < 5; round++) {
      await writer.put('a/count', `${round} before`);
      await gate.cut();
      for (let i = 0; i < 50; i++) await writer.put('a/count', `${round} ${i} unheard`);
      await gate.open();
      await writer.put('a/count', `${round} after`);
    }
    await until('the last value', () => seen.state.get('a/count') === '4 after');
    const values = seen.events.flatMap((event) => (event.kind === 'put' ? [event.value.toString()] : []));
    const expected = Array.from({ length: 5 }, (_, round) => [
      `${round} before`,
      ...Array.from({ length: 50 }, (_, i) => `${round} ${i} unheard`),
      `${round} after`,
    ]);
    assert.deepEqual(values, ['0', ...expected.flat()]);
    assert.equal(seen.syncs, 1);
  });

  it('lists again instead of replaying when it is far behind', async () => {
    await writer.put('a/1', 'old');
    const seen = follow('a/');
    await until('synced', () => seen.syncs === 1);
    await gate.cut();
    await writer.put('a/1', 'new');
    await putAll(
      writer,
      Array.from({ length: 5_000 }, (_, i) => [`b/${i}`, 'x'] as const),
    );
    await gate.open();
    await until('listed again', () => seen.syncs === 2);
    assert.equal(seen.state.get('a/1'), 'new');
  });

  it('after a compaction that it slept through, hands over what changed and deletes what is missing', async () => {
    await putAll(
      writer,
      ['a/kept', 'a/changed', 'a/deleted'].map((key) => [key, 'old'] as const),
    );
    const seen = follow('a/');
    await until('synced', () => seen.syncs === 1);
    await gate.cut();
    await writer.put('a/changed', 'new');
    await writer.put('a/added', 'new');
    await writer.delete('a/deleted');
    await etcdctl(server, 'compact', String(await revisionOf(server)));
    await gate.open();
    await until('synced again', () => seen.syncs === 2);
    assert.equal(seen.events.at(-1)?.kind, 'synced');
    assert.deepEqual(Object.fromEntries(seen.state), { 'a/kept': 'old', 'a/changed': 'new', 'a/added': 'new' });
    await writer.put('a/later', 'new');
    await until('the watch goes on', () => seen.state.has('a/later'));
  });

  it('loses no acknowledged write when etcd is killed and started again, again and again', async () => {
    await writer.put('a/start', '');
    const seen = follow('a/');
    await until('synced', () => seen.syncs === 1);
    const acknowledged = new Set<string>();
    let stop = false;
    const writing = (async () => {
      for (let i = 0; !stop; i++) {
        const value = `value ${i}`;
        await writer.put(`a/${i % 10}`, value).then(
          () => acknowledged.add(value),
          () => new Promise((resolve) => setTimeout(resolve, 5)),
        );
      }
    })();
    for (let round = 0; round < 4; round++) {
      const before = acknowledged.size;
      await until('some writes', () => acknowledged.size > before + 100);
      await server.kill();
      await server.run();
    }
    stop = true;
    await writing;
    await agrees('a/', seen);
    if (seen.syncs === 1) {
      const heard = new Set(seen.events.flatMap((event) => (event.kind === 'put' ? [event.value.toString()] : [])));
      assert.deepEqual(
        [...acknowledged].filter((value) => !heard.has(value)),
        [],
      );
    }
    const revisions = seen.events.flatMap((event) => (event.kind === 'put' ? [Number(event.revision)] : []));
    assert.deepEqual(
      revisions.slice(1),
      revisions.slice(1).toSorted((a, b) => a - b),
    );
    assert.equal(new Set(revisions).size, revisions.length);
  });

  for (const { title, writes } of [
    { title: 'counts fewer revisions than before', writes: 2 },
    { title: 'has counted on to more revisions than before', writes: 60 },
  ]) {
    it(`notices an etcd that was emptied, of the same cluster id, and ${title}`, async () => {
      await putAll(
        writer,
        Array.from({ length: 40 }, (_, i) => [`a/${i}`, 'old'] as const),
      );
      await writer.put('a/0', 'newest before');
      const seen = follow('a/');
      await until('synced', () => seen.syncs === 1);
      await gate.cut();
      await server.kill();
      await server.wipe();
      await server.run();
      for (let i = 0; i < writes; i++) await etcdctl(server, 'put', `a/${i % 5}`, `new ${i}`);
      await gate.open();
      await until('synced again', () => seen.syncs === 2);
      await agrees('a/', seen);
      await etcdctl(server, 'put', 'a/later', 'new');
      await until('the watch goes on', () => seen.state.has('a/later'));
      await gate.cut();
      await gate.open();
      await etcdctl(server, 'put', 'a/last', 'new');
      await until('the watch is resumed', () => seen.state.has('a/last'));
      assert.equal(seen.syncs, 2);
    });
  }

  it('ends as cluster-changed, and stays so, when another etcd cluster answers', async () => {
    await writer.put('a/1', 'old');
    const seen = follow('a/');
    await until('synced', () => seen.syncs === 1);
    const other = await EtcdServer.start({ flags: ['--initial-cluster-token=another'] });
    try {
      await gate.cut();
      await gate.open(other.endpoint);
      const outcome = await seen.outcome;
      assert.ok(outcome instanceof EtcdError && outcome.kind === 'cluster-changed', String(outcome));
      assert.match(outcome.message, /expected cluster id [0-9a-f]+: current value is [0-9a-f]+/);
      assert.deepEqual(Object.fromEntries(seen.state), { 'a/1': 'old' });
      await assert.rejects(
        reader.get('a/1'),
        (error) => error instanceof EtcdError && error.kind === 'cluster-changed',
      );
    } finally {
      await other.stop();
    }
  });

  it('get() gives up on an etcd that hangs, and works when it is back', async () => {
    await writer.put('a/1', 'one');
    assert.equal((await reader.get('a/1'))?.value.toString(), 'one');
    assert.equal(await reader.get('a/2'), undefined);
    await server.pause();
    await assert.rejects(reader.get('a/1', 200), (error) => error instanceof EtcdError && error.kind === 'unavailable');
    server.resume();
    assert.equal((await reader.get('a/1'))?.value.toString(), 'one');
  });

  it('tells where and why when nothing listens, and goes on by itself when something does', async () => {
    await gate.cut();
    const reports: string[] = [];
    const patient = connectReader(
      { endpoints: [gate.endpoint] },
      { report: (health) => reports.push(health.kind === 'degraded' ? health.reason : health.kind) },
    );
    const seen = follow('a/', patient);
    await until('a report', () => reports.length === 1);
    assert.equal(
      reports[0],
      `Cannot list prefix "a/" at ${gate.endpoint}: expected an answer: connect ECONNREFUSED ${gate.endpoint.slice(7)}`,
    );
    await gate.open();
    await until('synced', () => seen.syncs === 1);
    assert.equal(reports.at(-1), 'ok');
    patient.close();
  });

  it('uses the other endpoints when one is dead', async () => {
    await writer.put('a/1', 'one');
    const several = connectReader({ endpoints: ['http://127.0.0.1:1', server.endpoint] }, { random: () => 0 });
    const seen = follow('a/', several);
    await until('synced', () => seen.syncs === 1);
    several.close();
  });

  it('resolves when aborted, and rejects when closed', async () => {
    const seen = follow('a/');
    await until('synced', () => seen.syncs === 1);
    await seen.stop();
    assert.equal(await seen.outcome, 'ended');
    const other = follow('a/');
    await until('synced', () => other.syncs === 1);
    reader.close();
    const outcome = await other.outcome;
    assert.ok(outcome instanceof EtcdError && outcome.kind === 'closed', String(outcome));
  });
});
