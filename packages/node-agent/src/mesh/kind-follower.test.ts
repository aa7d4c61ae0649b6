/** The corners of `followKind` that a whole session hardly meets. */
import assert from 'node:assert/strict';
import type { EtcdReader, PrefixEvent } from '@tombolo/shared/etcd/read/reader.ts';
import { ok } from '@tombolo/shared/model/result.ts';
import { Notifier } from '@tombolo/shared/process/notifier.ts';
import { EntryStore } from './entry-store.ts';
import { FairWork } from './fair-work.ts';
import { followKind, type KindFollowerOptions } from './kind-follower.ts';
import { settle, TestClock } from './mesh.fixture.ts';

const KEY = 'p/a';
const put: PrefixEvent = { kind: 'put', key: KEY, value: Buffer.from('1'), revision: '3' };

/** A reader whose listings are handed out by the test, and whose canary was written at a given revision. */
function scripted() {
  const rounds: { handle: (event: PrefixEvent) => void; end: (error: Error) => void }[] = [];
  const canary = { revision: '2' as string | undefined, value: '2026-11-26T08:00:00Z' };
  const reader: EtcdReader = {
    get: async () =>
      canary.revision === undefined ? undefined : { value: Buffer.from(canary.value), revision: canary.revision },
    follow: (_prefix, handle, signal) =>
      new Promise((resolve, end) => {
        rounds.push({ handle, end });
        signal.addEventListener('abort', () => resolve(), { once: true });
      }),
    close: () => {},
  };
  const store = new EntryStore<string>({ weigh: () => 1, same: Object.is });
  const options: KindFollowerOptions<string> = {
    reader,
    prefix: 'p/',
    canaryKey: 'canary',
    store,
    decode: (_suffix, value) => ok(value.toString()),
    changed: () => {},
    refused: () => {},
    syncing: () => {},
    listed: () => {},
    isHeard: () => true,
    canary: () => {},
    flush: () => {},
    signs: new Notifier(),
    work: new FairWork({ budgetMs: Number.POSITIVE_INFINITY }),
    clock: new TestClock(),
  };
  const round = async (index: number) => {
    await settle();
    const found = rounds[index];
    assert.ok(found, `expected listing ${index}`);
    return found;
  };
  return { options, store, canary, rounds, round };
}

describe('followKind()', () => {
  it('lists again when the canary is younger than a withdrawal, and believes that listing', async () => {
    const { options, store, canary, rounds, round } = scripted();
    const ending = new AbortController();
    const following = followKind(options, ending.signal);
    const first = await round(0);
    first.handle(put);
    first.handle({ kind: 'synced', revision: '4' });
    await settle();
    canary.revision = '9';
    first.handle({ kind: 'delete', key: KEY, revision: '5' });
    const second = await round(1);
    await settle();
    assert.deepEqual([...store.values.keys()], ['a'], 'kept until the new listing is complete');
    assert.equal(rounds.length, 2, 'waits for the listing');
    second.handle({ kind: 'synced', revision: '9' });
    await settle();
    assert.equal(store.values.size, 0);
    ending.abort();
    await following;
  });

  it('takes nothing away by a listing of an older state, until the canary was written anew', async () => {
    const { options, store, canary, rounds, round } = scripted();
    const ending = new AbortController();
    const following = followKind(options, ending.signal);
    const first = await round(0);
    first.handle(put);
    first.handle({ ...put, key: 'p/b', revision: '4' });
    first.handle({ kind: 'synced', revision: '10' });
    await settle();
    // Its etcd is restored to what it was at revision 3, and its reader lists it anew.
    first.handle(put);
    first.handle({ kind: 'delete', key: 'p/b', revision: '3' });
    first.handle({ kind: 'synced', revision: '3' });
    options.signs.notify();
    await settle();
    assert.deepEqual([[...store.values.keys()], store.outdated, rounds.length], [['a', 'b'], 1, 1]);
    // What is withdrawn from then on is.
    first.handle({ kind: 'delete', key: 'p/a', revision: '4' });
    await settle();
    assert.deepEqual([...store.values.keys()], ['b']);
    Object.assign(canary, { revision: '5', value: '2026-11-26T08:00:01Z' });
    options.signs.notify();
    const second = await round(1);
    second.handle({ kind: 'synced', revision: '5' });
    await settle();
    assert.deepEqual([store.values.size, store.outdated], [0, 0]);
    ending.abort();
    await following;
  });

  it('believes an etcd that was emptied and filled again', async () => {
    const { options, store, canary, round } = scripted();
    const ending = new AbortController();
    const following = followKind(options, ending.signal);
    const first = await round(0);
    first.handle(put);
    first.handle({ kind: 'synced', revision: '10' });
    await settle();
    canary.revision = undefined;
    options.signs.notify();
    await settle();
    Object.assign(canary, { revision: '2', value: '2026-11-26T08:00:01Z' });
    options.signs.notify();
    const second = await round(1);
    second.handle({ kind: 'synced', revision: '2' });
    await settle();
    assert.equal(store.values.size, 0);
    ending.abort();
    await following;
  });

  it('rejects when its watch is beyond repair, also while a withdrawal waits', async () => {
    const { options, round } = scripted();
    const ending = new AbortController();
    const following = followKind({ ...options, isHeard: () => false }, ending.signal);
    const first = await round(0);
    first.handle(put);
    first.handle({ kind: 'delete', key: KEY, revision: '5' });
    first.end(new Error('permission denied'));
    await assert.rejects(following, /permission denied/);
  });

  it('rejects when decoding throws, and leaves no work behind', async () => {
    const { options, round } = scripted();
    const decode = () => {
      throw new Error('a bug');
    };
    const following = followKind({ ...options, decode }, new AbortController().signal);
    const first = await round(0);
    first.handle(put);
    await assert.rejects(following, /a bug/);
  });

  it('resolves when it is stopped while it waits for the canary', async () => {
    const { options, canary, rounds } = scripted();
    canary.revision = undefined;
    const ending = new AbortController();
    const following = followKind(options, ending.signal);
    await settle();
    ending.abort();
    await following;
    assert.equal(rounds.length, 0);
  });
});
