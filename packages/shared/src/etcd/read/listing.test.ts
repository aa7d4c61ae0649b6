import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { silentLogger } from '../../process/logger.ts';
import { EtcdError } from '../session/errors.ts';
import { MemoryEtcd } from '../session/memory-etcd.fixture.ts';
import { Session } from '../session/session.ts';
import { listPages } from './listing.ts';

describe('listPages()', () => {
  const sessions: Session[] = [];

  afterEach(() => {
    for (const session of sessions.splice(0)) session.close();
  });

  const open = (etcd: MemoryEtcd): Session => {
    const options = { logger: silentLogger, report: () => {}, random: () => 0.5, pinned: true, dial: etcd.dial };
    const session = new Session({ endpoints: ['http://a:1'] }, { ...options, askAgain: { first: 1, limit: 1 } });
    sessions.push(session);
    return session;
  };

  const filled = (keys: number, bytes = 10): MemoryEtcd => {
    const etcd = new MemoryEtcd();
    for (let i = 0; i < keys; i++) etcd.put(`a/${String(i).padStart(5, '0')}`, Buffer.alloc(bytes, 'v'));
    return etcd;
  };

  async function keysOf(etcd: MemoryEtcd, prefix: string, pageBytes: number): Promise<string[]> {
    const keys: string[] = [];
    for await (const page of listPages(open(etcd), { prefix, pageBytes })) {
      for (const { key } of page.entries) keys.push(key.toString());
    }
    return keys;
  }

  it('listPages() gives every key under the prefix once, in order, whatever the page size', async () => {
    const keys = fc.uniqueArray(fc.string({ unit: fc.constantFrom('a', 'b', '/', '\0', 'ÿ'), maxLength: 4 }));
    await fc.assert(
      fc.asyncProperty(
        keys,
        fc.constantFrom('a', 'a/', 'b', ''),
        fc.integer({ min: 1, max: 50 }),
        async (all, prefix, pageBytes) => {
          const etcd = new MemoryEtcd();
          const present = all.filter((key) => key !== '');
          for (const key of present) etcd.put(key, '1');
          const expected = present
            .filter((key) => key.startsWith(prefix))
            .sort((a, b) => Buffer.from(a).compare(Buffer.from(b)));
          assert.deepEqual(await keysOf(etcd, prefix, pageBytes), expected);
        },
      ),
    );
  });

  it('listPages() reads all pages at the revision of the first, whatever is written meanwhile', async () => {
    const etcd = filled(300);
    const first = String(etcd.revision);
    const seen: string[] = [];
    for await (const { revision, entries } of listPages(open(etcd), { prefix: 'a/', pageBytes: 500 })) {
      assert.equal(revision, first);
      seen.push(...entries.map(({ key }) => key.toString()));
      etcd.put('a/00299x', 'new');
      etcd.delete('a/00299');
    }
    assert.equal(seen.length, 300);
    assert.deepEqual([...new Set(etcd.ranges.map(({ revision }) => revision))], ['0', first]);
  });

  it('listPages() asks for pages of about the bytes it is told, after a small first one', async () => {
    const etcd = filled(700, 1_000);
    await keysOf(etcd, 'a/', 200_000);
    assert.equal(etcd.ranges[0]?.limit, 64);
    assert.ok(
      etcd.ranges.slice(1).every(({ limit }) => limit === 198),
      JSON.stringify(etcd.ranges),
    );
  });

  it('listPages() asks for the next page while one is handled, and for no other', async () => {
    const etcd = filled(1_000);
    const pages = listPages(open(etcd), { prefix: 'a/', pageBytes: 1_000 });
    for (let taken = 1; !(await pages.next()).done; taken++) {
      for (let i = 0; i < 5; i++) await nextTurn();
      assert.ok(etcd.ranges.length <= taken + 1, `${etcd.ranges.length} pages asked for, ${taken} taken`);
      if (taken < 5) assert.equal(etcd.ranges.length, taken + 1);
    }
  });

  it('listPages() halves a page that is too large for one message', async () => {
    const etcd = filled(300, 100);
    etcd.largestAnswer = 2_000;
    assert.equal((await keysOf(etcd, 'a/', 100_000)).length, 300);
    assert.deepEqual(
      etcd.ranges.slice(0, 3).map(({ limit }) => limit),
      [64, 32, 16],
    );
  });

  it('listPages() names the key when a single one is too large', async () => {
    const etcd = filled(1, 3_000);
    etcd.largestAnswer = 2_000;
    await assert.rejects(keysOf(etcd, 'a', 8), /Cannot list prefix "a": expected values that fit.*"a"/);
  });

  it('listPages() fails where the page is, not before, and not unheard', async () => {
    const etcd = filled(300);
    const pages = listPages(open(etcd), { prefix: 'a/', pageBytes: 500 });
    await pages.next();
    etcd.cut();
    for (let i = 0; i < 5; i++) await nextTurn();
    await assert.rejects(pages.next(), (error) => error instanceof EtcdError && error.kind === 'unavailable');
  });

  it('listPages() does not go on over another connection, which may lead to another history', async () => {
    const etcd = filled(600);
    const session = open(etcd);
    const pages = listPages(session, { prefix: 'a/', pageBytes: 500 });
    await pages.next();
    await nextTurn();
    await nextTurn();
    session.drop(await session.connection(), new EtcdError('unavailable', 'broke'));
    await pages.next();
    await assert.rejects(pages.next(), /expected the connection that it began on/);
  });

  it('listPages() that is patient waits for the first page only', async () => {
    const etcd = filled(300);
    etcd.down();
    const pages = listPages(open(etcd), { prefix: 'a/', pageBytes: 500, patient: true });
    const first = pages.next();
    for (let i = 0; i < 5; i++) await nextTurn();
    etcd.up();
    assert.equal((await first).value?.entries.length, 64);
    await nextTurn();
    etcd.down();
    await assert.rejects(
      async () => {
        for await (const _ of pages);
      },
      (error) => error instanceof EtcdError && error.kind === 'unavailable',
    );
  });
});
