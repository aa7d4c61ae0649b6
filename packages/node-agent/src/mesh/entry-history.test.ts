import assert from 'node:assert/strict';
import type { PrefixEvent } from '@tombolo/shared/etcd/read/reader.ts';
import { EntryHistory } from './entry-history.ts';

const canary = (revision: number) => ({ value: Buffer.from('2026-11-26T08:00:00Z'), revision: String(revision) });
const put = (revision: number): PrefixEvent => ({ kind: 'put', key: 'a', value: Buffer.of(), revision: `${revision}` });
const gone = (revision: number): PrefixEvent => ({ kind: 'delete', key: 'a', revision: `${revision}` });
const synced = (revision: number): PrefixEvent => ({ kind: 'synced', revision: `${revision}` });

describe('EntryHistory', () => {
  let history: EntryHistory;
  const hear = (...events: readonly PrefixEvent[]) => events.map((event) => history.wentBack(event));

  beforeEach(() => {
    history = new EntryHistory();
    history.begin(canary(2));
    // Entries are listed by key, then come in the order of revisions.
    assert.deepEqual(hear(put(9), put(3), synced(10), put(11), gone(12), synced(12)), Array(6).fill(false));
  });

  it('knows a listing of an older state, of a session that went on and of a new one', () => {
    assert.deepEqual(hear(put(3), gone(5), synced(5)), [false, true, true]);
    assert.ok(history.isOutdated);
    history = new EntryHistory();
    history.begin(canary(2));
    hear(synced(10));
    history.begin(canary(2));
    assert.deepEqual([...hear(put(3), synced(6)), history.isOutdated], [false, true, true]);
  });

  it('stays with an older state, however far it goes on, until there is another canary', () => {
    hear(synced(5));
    history.begin(canary(2));
    assert.deepEqual([...hear(synced(20), gone(21)), history.isOutdated], [false, false, true]);
    history.begin(canary(22));
    assert.equal(history.isOutdated, false);
  });

  it('believes what is withdrawn after such a listing', () => {
    assert.deepEqual(hear(synced(5), put(6), gone(7), gone(8)), [true, false, false, false]);
    assert.ok(history.isOutdated);
  });

  it('believes any listing behind a canary that is new, and none behind one that was seen', () => {
    history.note(canary(11));
    for (const [revision, isBack] of [
      [4, false],
      [11, true],
    ] as const) {
      assert.equal(history.isNews(canary(revision)), !isBack);
      history.begin(canary(revision));
      assert.deepEqual(hear(synced(4), synced(20)), [isBack, false]);
    }
  });

  it('remembers the last hundred canaries', () => {
    for (let revision = 100; revision < 200; revision++) history.note(canary(revision));
    assert.deepEqual(
      [2, 100, 199].map((revision) => history.isNews(canary(revision))),
      [true, false, false],
    );
  });
});
