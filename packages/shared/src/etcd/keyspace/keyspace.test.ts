import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { EtcdError, type EtcdErrorKind } from '../session/errors.ts';
import { open, pass, settled } from './keyspace.fixture.ts';

describe('Keyspace', () => {
  it('set() writes once, and not again what is written already', async () => {
    const { writer, keyspace } = open();
    keyspace.set('a', '1');
    await keyspace.whenWritten();
    keyspace.set('a', '1');
    await keyspace.whenWritten();
    assert.deepEqual(writer.log, ['put a=1']);
    keyspace.close();
  });

  it('set() coalesces while a write is in flight, and ends with the newest value', async () => {
    const { writer, keyspace } = open();
    for (const value of ['1', '2', '3', '4']) keyspace.set('a', value);
    await keyspace.whenWritten();
    assert.deepEqual(writer.log, ['put a=1', 'put a=4']);
    keyspace.close();
  });

  it('set() keeps no more writes in flight than it may', async () => {
    const { writer, keyspace } = open(4);
    for (let i = 0; i < 50; i++) keyspace.set(`a/${i}`, 'x');
    await keyspace.whenWritten();
    assert.equal(writer.store.size, 50);
    assert.equal(writer.mostInFlight, 4);
    keyspace.close();
  });

  it('remove() deletes, and forgets the key', async () => {
    const { writer, keyspace } = open();
    keyspace.set('a', '1');
    await keyspace.whenWritten();
    keyspace.remove('a');
    await keyspace.whenWritten();
    assert.equal(writer.store.size, 0);
    keyspace.set('a', '1');
    await keyspace.whenWritten();
    assert.equal(writer.store.get('a'), '1');
    keyspace.close();
  });

  it('a dead etcd pauses everything, is visible, and is tried with one write at a time', async () => {
    const { writer, clock, keyspace } = open(8);
    writer.fail = () => 'unavailable';
    for (let i = 0; i < 30; i++) keyspace.set(`a/${i}`, 'x');
    await settled();
    assert.equal(writer.log.length, 8);
    assert.equal(keyspace.pending, 30);
    assert.equal(keyspace.failing.size, 8);
    writer.mostInFlight = 0;
    await pass(clock, 10_000);
    assert.equal(writer.mostInFlight, 1);
    assert.ok(writer.log.length < 30, `${writer.log.length} tries`);
    writer.fail = () => undefined;
    const written = keyspace.whenWritten();
    await pass(clock, 2_000);
    await written;
    assert.equal(writer.store.size, 30);
    assert.equal(keyspace.failing.size, 0);
    keyspace.close();
  });

  it('a key that etcd refuses is reported, holds up nobody, and is tried again with another value only', async () => {
    const { writer, clock, keyspace } = open();
    writer.fail = (key) => (key === 'big' ? 'too-large' : undefined);
    keyspace.set('big', 'x');
    keyspace.set('small', 'x');
    await keyspace.whenWritten();
    assert.equal(writer.store.get('small'), 'x');
    assert.equal(keyspace.failing.get('big')?.refused, true);
    assert.equal(keyspace.pending, 0);
    keyspace.set('big', 'x');
    await pass(clock, 600_000);
    assert.equal(writer.log.filter((entry) => entry.includes('big')).length, 1);
    writer.fail = () => undefined;
    keyspace.set('big', 'y');
    await keyspace.whenWritten();
    assert.equal(writer.store.get('big'), 'y');
    assert.equal(keyspace.failing.size, 0);
    keyspace.close();
  });

  it('a key that fails by itself waits by itself', async () => {
    const { writer, clock, keyspace } = open();
    writer.fail = (key) => (key === 'bad' ? 'refused' : undefined);
    keyspace.set('bad', 'x');
    keyspace.set('good', 'x');
    await settled();
    assert.equal(writer.store.get('good'), 'x');
    await pass(clock, 1_000);
    const attempts = keyspace.failing.get('bad')?.attempts ?? 0;
    assert.ok(attempts > 3 && attempts < 12, `${attempts} attempts`);
    writer.fail = () => undefined;
    await pass(clock, 60_000);
    assert.equal(writer.store.get('bad'), 'x');
    keyspace.close();
  });

  it('keys of a lost lease are written again', async () => {
    const { writer, keyspace } = open();
    keyspace.set('a', '1');
    keyspace.set('b', '2');
    await keyspace.whenWritten();
    writer.loseLeases();
    await keyspace.whenWritten();
    assert.deepEqual(
      [...writer.store],
      [
        ['a', '1'],
        ['b', '2'],
      ],
    );
    keyspace.close();
  });

  it('a lease that is lost while a write is in flight does not pass for written', async () => {
    const { writer, keyspace } = open();
    const put = writer.put.bind(writer);
    writer.put = async (key, value) => {
      const revision = await put(key, value);
      writer.put = put;
      writer.loseLeases();
      return revision;
    };
    keyspace.set('a', '1');
    await keyspace.whenWritten();
    assert.equal(writer.store.get('a'), '1');
    keyspace.close();
  });

  it('prune() deletes leftovers and nothing that is desired, kept or elsewhere', async () => {
    const { writer, keyspace } = open();
    for (const key of ['a/old', 'a/kept', 'a/mine', 'b/old']) writer.store.set(key, 'before');
    keyspace.set('a/mine', 'now');
    assert.equal(await keyspace.prune('a/', new Set(['a/kept'])), 1);
    assert.deepEqual([...writer.store.keys()].toSorted(), ['a/kept', 'a/mine', 'b/old']);
    keyspace.close();
  });

  it('prune() writes again what somebody changed or deleted, and leaves alone what is as it should be', async () => {
    const { writer, keyspace } = open();
    for (const key of ['a/changed', 'a/deleted', 'a/good', 'b/changed']) keyspace.set(key, 'ours');
    await keyspace.whenWritten();
    writer.log.length = 0;
    writer.interfere('a/changed', 'theirs');
    writer.interfere('a/deleted', undefined);
    writer.interfere('b/changed', 'theirs');
    assert.equal(await keyspace.prune('a/'), 0);
    assert.deepEqual(writer.log.toSorted(), ['put a/changed=ours', 'put a/deleted=ours']);
    assert.equal(writer.store.get('a/changed'), 'ours');
    keyspace.close();
  });

  it('prune() writes again what somebody else wrote just so, since it hangs on his lease', async () => {
    const { writer, keyspace } = open();
    for (const key of ['a/own', 'a/taken']) keyspace.set(key, 'ours');
    await keyspace.whenWritten();
    writer.log.length = 0;
    writer.foreign.add('a/taken');
    await keyspace.prune('a/');
    assert.deepEqual(writer.log, ['put a/taken=ours']);
    keyspace.close();
  });

  it('prune() does not take for lost what was written while it listed', async () => {
    const { writer, keyspace } = open();
    keyspace.set('a/1', 'old');
    await keyspace.whenWritten();
    const list = writer.list.bind(writer);
    writer.list = async (prefix) => {
      const listing = await list(prefix);
      keyspace.set('a/1', 'new');
      keyspace.set('a/2', 'new');
      await settled();
      return listing;
    };
    await keyspace.prune('a/');
    assert.deepEqual(writer.log, ['put a/1=old', 'put a/1=new', 'put a/2=new']);
    keyspace.close();
  });

  it('prune() goes on until etcd answers, and whenWritten() waits for it', async () => {
    const { writer, clock, keyspace } = open();
    writer.store.set('a/old', 'before');
    writer.fail = () => 'unavailable';
    const pruned = keyspace.prune('a/');
    let isWritten = false;
    const written = keyspace.whenWritten().then(() => {
      isWritten = true;
    });
    await pass(clock, 5_000);
    assert.deepEqual([writer.store.size, isWritten], [1, false]);
    writer.fail = () => undefined;
    await pass(clock, 5_000);
    assert.equal(await pruned, 1);
    await written;
    assert.equal(writer.store.size, 0);
    keyspace.close();
  });

  it('enforce() writes again at once what somebody changed or deleted, and leaves its own writes alone', async () => {
    const { writer, clock, keyspace } = open();
    keyspace.enforce('config', 'ours');
    await keyspace.whenWritten();
    await settled();
    assert.equal(writer.log.length, 1);
    writer.interfere('config', 'theirs');
    await settled();
    assert.equal(writer.store.get('config'), 'ours');
    await pass(clock, 2_000);
    writer.interfere('config', undefined);
    await settled();
    assert.equal(writer.store.get('config'), 'ours');
    await pass(clock, 2_000);
    writer.interfere('config-2', 'a neighbour');
    await pass(clock, 2_000);
    assert.equal(writer.log.length, 3);
    keyspace.close();
  });

  it('enforce() fights another enforcer once a second, not as fast as it can', async () => {
    const { writer, clock, keyspace } = open();
    keyspace.enforce('config', 'ours');
    await keyspace.whenWritten();
    for (let i = 0; i < 100; i++) {
      writer.interfere('config', 'theirs');
      await pass(clock, 100);
    }
    assert.ok(writer.log.length >= 10 && writer.log.length <= 13, `${writer.log.length} writes in 10 s`);
    keyspace.close();
  });

  it('adopt() spares what is there already on a lease, and prune() makes sure', async () => {
    const { writer, keyspace } = open();
    for (const key of ['a/same', 'a/other', 'a/unleased', 'a/gone']) writer.store.set(key, 'before');
    writer.foreign.add('a/unleased');
    const found = await keyspace.adopt('a/');
    assert.deepEqual([...found.keys()], ['a/same', 'a/other', 'a/unleased', 'a/gone']);
    keyspace.set('a/same', 'before');
    keyspace.set('a/other', 'now');
    keyspace.set('a/unleased', 'before');
    keyspace.set('a/new', 'now');
    await keyspace.prune('a/');
    assert.deepEqual(writer.log.toSorted(), [
      'delete a/gone',
      'put a/new=now',
      'put a/other=now',
      'put a/unleased=before',
    ]);
    keyspace.close();
  });

  it('adopt() does not spare what was lost, or changed, since', async () => {
    const { writer, keyspace } = open();
    for (const key of ['a/lost', 'a/changed']) writer.store.set(key, 'ours');
    await keyspace.adopt('a/');
    writer.loseLeases();
    writer.interfere('a/changed', 'theirs');
    for (const key of ['a/lost', 'a/changed']) keyspace.set(key, 'ours');
    await keyspace.prune('a/');
    await keyspace.whenWritten();
    assert.deepEqual(Object.fromEntries(writer.store), { 'a/lost': 'ours', 'a/changed': 'ours' });
    keyspace.close();
  });

  it('adopt() corrects what was believed before another one wrote', async () => {
    const { writer, keyspace } = open();
    for (const key of ['a/changed', 'a/deleted', 'a/same']) keyspace.set(key, 'ours');
    await keyspace.whenWritten();
    writer.log.length = 0;
    writer.interfere('a/changed', 'theirs');
    writer.interfere('a/deleted', undefined);
    await keyspace.adopt('a/');
    await keyspace.whenWritten();
    assert.deepEqual(writer.log.toSorted(), ['put a/changed=ours', 'put a/deleted=ours']);
    keyspace.close();
  });

  for (const kind of ['unavailable', 'no-space', 'fenced'] as const) {
    it(`everything waits for the writer's word when a write was ${kind}, and the newest values are written then`, async () => {
      const { writer, clock, keyspace } = open();
      const word = Promise.withResolvers<void>();
      writer.ready = () => word.promise;
      writer.fail = () => kind;
      keyspace.set('a', '1');
      await settled();
      assert.equal(keyspace.failing.size, kind === 'fenced' ? 0 : 1);
      keyspace.set('a', '2');
      keyspace.set('b', '1');
      await pass(clock, 600_000);
      assert.deepEqual(writer.log, ['put a=1']);
      writer.fail = () => undefined;
      word.resolve();
      await keyspace.whenWritten();
      assert.deepEqual(writer.log, ['put a=1', 'put a=2', 'put b=1']);
      keyspace.close();
    });
  }

  it('hold() stops writing, and release() writes the newest', async () => {
    const { writer, keyspace } = open();
    keyspace.hold();
    keyspace.set('a', '1');
    keyspace.set('a', '2');
    await settled();
    assert.deepEqual(writer.log, []);
    keyspace.release();
    await keyspace.whenWritten();
    assert.deepEqual(writer.log, ['put a=2']);
    keyspace.close();
  });

  it('enforce() says once why the key cannot be watched', async () => {
    const { writer, clock, keyspace, logged } = open();
    const error = new EtcdError('unauthorized', 'permission denied');
    writer.follow = () => Promise.reject(error);
    keyspace.enforce('config', 'ours');
    await pass(clock, 60_000);
    const warned = logged.filter(([line]) => line.startsWith('warn'));
    assert.deepEqual(warned, [['warn key cannot be watched', { key: 'config', error }]]);
    keyspace.close();
  });

  it('enforce() says when somebody else changed the key', async () => {
    const { writer, keyspace, logged } = open();
    keyspace.enforce('config', 'ours');
    await keyspace.whenWritten();
    writer.interfere('config', 'theirs');
    await settled();
    assert.deepEqual(logged, [['warn enforced key was changed by somebody else', { key: 'config' }]]);
    keyspace.close();
  });

  it('enforce() watches a key once, however often it is asked for', async () => {
    const { writer, keyspace } = open();
    const [follow, followed] = [writer.follow.bind(writer), [] as string[]];
    writer.follow = (prefix, ...rest) => {
      followed.push(prefix);
      return follow(prefix, ...rest);
    };
    for (const value of ['1', '2', '3']) keyspace.enforce('config', value);
    assert.deepEqual(followed, ['config']);
    keyspace.close();
  });

  it('enforce() ends with remove(), and begins anew', async () => {
    const { writer, clock, keyspace } = open();
    keyspace.enforce('config', 'ours');
    keyspace.remove('config');
    await keyspace.whenWritten();
    writer.interfere('config', 'theirs');
    await pass(clock, 5_000);
    assert.equal(writer.store.get('config'), 'theirs');
    keyspace.enforce('config', 'ours');
    await keyspace.whenWritten();
    writer.interfere('config', 'theirs');
    await pass(clock, 5_000);
    assert.equal(writer.store.get('config'), 'ours');
    keyspace.close();
  });

  it('enforce() writes again what somebody changed before the answer to our write came', async () => {
    const { writer, keyspace } = open();
    const put = writer.put.bind(writer);
    writer.put = async (key, value) => {
      const revision = await put(key, value);
      writer.put = put;
      writer.interfere('config', 'theirs');
      return revision;
    };
    keyspace.enforce('config', 'ours');
    await keyspace.whenWritten();
    await settled();
    assert.equal(writer.store.get('config'), 'ours');
    keyspace.close();
  });

  it('enforce() leaves alone what was there before its write, however late it hears of it', async () => {
    const { writer, clock, keyspace } = open();
    let tell: Parameters<typeof writer.follow>[1] = () => {};
    writer.follow = (_, handle) => {
      tell = handle;
      return new Promise(() => {});
    };
    writer.interfere('config', 'theirs');
    keyspace.enforce('config', 'ours');
    await keyspace.whenWritten();
    tell({ kind: 'put', key: 'config', value: Buffer.from('theirs'), revision: '1' });
    await pass(clock, 5_000);
    assert.deepEqual(writer.log, ['put config=ours']);
    keyspace.close();
  });

  it('prune() says how many were left over and how many changed, where there are any', async () => {
    const { writer, keyspace, logged } = open();
    for (const key of ['a/good', 'a/changed']) keyspace.set(key, 'ours');
    await keyspace.whenWritten();
    await keyspace.prune('a/');
    assert.deepEqual(logged, []);
    writer.interfere('a/changed', 'theirs');
    writer.interfere('a/old', 'theirs');
    await keyspace.prune('a/');
    assert.deepEqual(logged, [
      ['info removed leftover keys', { prefix: 'a/', keys: 1 }],
      ['warn wrote changed keys again', { prefix: 'a/', keys: 1 }],
    ]);
    keyspace.close();
  });

  it('prune() does not take for changed what was written without an answer', async () => {
    const { writer, clock, keyspace, logged } = open();
    writer.fail = (key) => (key === 'a/1' ? 'refused' : undefined);
    keyspace.set('a/1', 'ours');
    await settled();
    writer.interfere('a/1', 'ours');
    await keyspace.prune('a/');
    await pass(clock, 120_000);
    assert.deepEqual(
      logged.filter(([line]) => line.includes('changed')),
      [],
    );
    assert.equal(writer.log.length, 1);
    keyspace.close();
  });

  it('prune() deletes what somebody made of a key that was removed', async () => {
    const { writer, keyspace } = open();
    keyspace.set('a/1', 'ours');
    keyspace.remove('a/1');
    await keyspace.whenWritten();
    writer.interfere('a/1', 'theirs');
    assert.equal(await keyspace.prune('a/'), 1);
    keyspace.close();
  });

  it('adopt() spares nothing that is foreign, was lost, or may have changed since a prune', async () => {
    const { writer, keyspace } = open();
    for (const key of ['a/unleased', 'a/kept']) writer.store.set(key, 'before');
    writer.foreign.add('a/unleased');
    await keyspace.adopt('a/');
    keyspace.set('a/unleased', 'before');
    await keyspace.whenWritten();
    assert.deepEqual(writer.log, ['put a/unleased=before']);
    await keyspace.prune('a/', new Set(['a/kept']));
    writer.interfere('a/kept', 'theirs');
    keyspace.set('a/kept', 'before');
    await keyspace.whenWritten();
    assert.equal(writer.store.get('a/kept'), 'before');
    keyspace.close();
    const second = open();
    second.writer.store.set('a/lost', 'before');
    await second.keyspace.adopt('a/');
    second.writer.loseLeases();
    second.keyspace.set('a/lost', 'before');
    await second.keyspace.whenWritten();
    assert.equal(second.writer.store.get('a/lost'), 'before');
    second.keyspace.close();
  });

  it('adopt() spares a write once: what is removed and set again is written', async () => {
    const { writer, keyspace } = open();
    writer.store.set('a/1', 'before');
    await keyspace.adopt('a/');
    keyspace.set('a/1', 'before');
    keyspace.remove('a/1');
    await keyspace.whenWritten();
    keyspace.set('a/1', 'before');
    await keyspace.whenWritten();
    assert.deepEqual(writer.log, ['delete a/1', 'put a/1=before']);
    keyspace.close();
  });

  it('a lease that is lost while a key is deleted needs no second deletion', async () => {
    const { writer, keyspace } = open();
    keyspace.set('a', '1');
    await keyspace.whenWritten();
    keyspace.remove('a');
    writer.loseLeases();
    await keyspace.whenWritten();
    assert.deepEqual(writer.log, ['put a=1', 'delete a']);
    keyspace.close();
  });

  it('says which key fails first and why, and of others and of an outage nothing that anybody must read', async () => {
    const { writer, clock, keyspace, logged } = open();
    writer.fail = (key) => (key === 'out' ? 'unavailable' : 'refused');
    keyspace.set('a', 'x');
    await settled();
    keyspace.set('b', 'x');
    await pass(clock, 1_000);
    const fields = (key: string) => ({ key, reason: `Cannot write "${key}": refused`, refused: false });
    assert.deepEqual(logged, [
      ['warn etcd key is not written', fields('a')],
      ['debug etcd key is not written', fields('b')],
    ]);
    keyspace.set('out', 'x');
    await settled();
    assert.equal(logged.length, 2);
    keyspace.close();
  });

  it('a new value owes nothing to the failure of an old one', async () => {
    const { writer, keyspace } = open();
    writer.fail = () => 'refused';
    keyspace.set('a', '1');
    await settled();
    assert.equal(keyspace.failing.size, 1);
    writer.fail = () => undefined;
    keyspace.set('a', '2');
    assert.equal(keyspace.failing.size, 0);
    await keyspace.whenWritten();
    writer.fail = () => 'refused';
    keyspace.set('a', '3');
    keyspace.set('a', '4');
    await turn();
    writer.fail = () => undefined;
    await settled();
    assert.equal(writer.store.get('a'), '4', 'at once');
    keyspace.close();
  });

  describe('during an outage', () => {
    /** With writes of `a` and `b` under way; of these, `a` finds out. */
    const outage = (ofB: 'written' | 'refused') => {
      const all = open(2);
      const word = Promise.withResolvers<void>();
      let asked = 0;
      all.writer.ready = () => {
        asked++;
        return word.promise;
      };
      all.writer.fail = (key) => (key === 'a' ? 'unavailable' : ofB === 'refused' ? 'refused' : undefined);
      for (const key of ['a', 'b', 'c']) all.keyspace.set(key, 'x');
      return { ...all, word, asked: () => asked };
    };

    for (const ofB of ['written', 'refused'] as const) {
      it(`goes on waiting though a write that was under way is ${ofB}`, async () => {
        const { writer, keyspace, asked } = outage(ofB);
        await settled();
        assert.deepEqual(writer.log, ['put a=x', 'put b=x']);
        keyspace.release();
        await settled();
        assert.deepEqual([writer.log.length, asked()], [2, 1]);
        keyspace.close();
      });
    }

    it('waits once, though several writes find out', async () => {
      const { writer, keyspace, asked } = outage('written');
      writer.fail = () => 'unavailable';
      await settled();
      assert.equal(asked(), 1);
      keyspace.close();
    });

    it('writes nothing on the word of the writer while it is held, before or since', async () => {
      for (const holdsFirst of [true, false]) {
        const { writer, keyspace, word } = outage('written');
        if (holdsFirst) keyspace.hold();
        await settled();
        if (!holdsFirst) keyspace.hold();
        writer.fail = () => undefined;
        word.resolve();
        await settled();
        assert.equal(writer.log.length, 2);
        keyspace.release();
        await keyspace.whenWritten();
        assert.equal(writer.store.size, 3);
        keyspace.close();
      }
    });

    it('writes several at a time again after the first, also if etcd refuses that one', async () => {
      for (const refused of [true, false]) {
        const { writer, keyspace, word } = outage('written');
        await settled();
        for (let i = 0; i < 10; i++) keyspace.set(`d/${i}`, 'x');
        writer.fail = (key) => (refused && key === 'c' ? 'refused' : undefined);
        writer.mostInFlight = 0;
        word.resolve();
        await settled();
        await settled();
        assert.equal(writer.mostInFlight, 2);
        keyspace.close();
      }
    });
  });

  it('closes with its writer', async () => {
    const { writer, keyspace } = open();
    writer.fail = () => 'closed' as EtcdErrorKind;
    keyspace.set('a', '1');
    await assert.rejects(keyspace.whenWritten(), /closed/);
  });

  it('close() leaves no timer for a write that fails afterwards', async () => {
    const { writer, clock, keyspace } = open();
    writer.fail = () => 'refused';
    keyspace.set('a', '1');
    keyspace.close();
    await settled();
    assert.equal(clock.waiting, 0);
    assert.equal(keyspace.failing.size, 0);
  });

  it('close() leaves everything in etcd, and rejects who waits', async () => {
    const { writer, keyspace } = open();
    keyspace.set('a', '1');
    await keyspace.whenWritten();
    keyspace.set('b', '1');
    const rejected = assert.rejects(keyspace.whenWritten(), /closed/);
    keyspace.close();
    await rejected;
    assert.deepEqual(writer.store.get('a'), '1');
    assert.ok(!writer.log.some((entry) => entry.startsWith('delete')));
  });

  it('close() ends a prune and a watch that wait for etcd at once, and leaves no timer', async () => {
    const { writer, clock, keyspace } = open();
    writer.fail = () => 'unavailable';
    writer.follow = () => Promise.reject(new EtcdError('unauthorized', 'permission denied'));
    keyspace.enforce('config', 'ours');
    const rejected = assert.rejects(keyspace.prune('a/'), /closed/);
    await settled();
    assert.ok(clock.waiting > 0);
    keyspace.close();
    assert.equal(clock.waiting, 0);
    await rejected;
  });

  const key = fc.constantFrom('a', 'b', 'c');
  const command = fc.oneof(
    fc.record({ do: fc.constant('set' as const), key, value: fc.constantFrom('1', '2', '3') }),
    fc.record({ do: fc.constant('remove' as const), key }),
    fc.record({ do: fc.constantFrom('break' as const, 'mend' as const, 'lose' as const, 'turn' as const) }),
  );

  it('Keyspace ends with what was desired last, after any commands and faults', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
        const { writer, clock, keyspace } = open(2);
        const oracle = new Map<string, string>();
        for (const current of commands) {
          switch (current.do) {
            case 'set':
              keyspace.set(current.key, current.value);
              oracle.set(current.key, current.value);
              break;
            case 'remove':
              keyspace.remove(current.key);
              oracle.delete(current.key);
              break;
            case 'break':
              writer.fail = (name) => (name === 'a' ? 'refused' : 'unavailable');
              break;
            case 'mend':
              writer.fail = () => undefined;
              break;
            case 'lose':
              writer.loseLeases();
              break;
            case 'turn':
              await turn();
              break;
          }
        }
        writer.fail = () => undefined;
        const written = keyspace.whenWritten();
        for (let seconds = 0; keyspace.pending > 0 && seconds < 120; seconds++) await pass(clock, 1_000);
        await written;
        assert.deepEqual(new Map([...writer.store].toSorted()), new Map([...oracle].toSorted()));
        assert.equal(keyspace.pending, 0);
        keyspace.close();
      }),
      { numRuns: 200 },
    );
  });
});
