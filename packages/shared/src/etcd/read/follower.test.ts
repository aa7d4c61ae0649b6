import assert from 'node:assert/strict';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { FakeClock } from '../../process/clock.fixture.ts';
import { silentLogger } from '../../process/logger.ts';
import { EtcdError } from '../session/errors.ts';
import { MemoryEtcd } from '../session/memory-etcd.fixture.ts';
import { grpcError, type MemoryStore } from '../session/memory-store.fixture.ts';
import { Session } from '../session/session.ts';
import { Follower } from './follower.ts';
import type { PrefixEvent } from './reader.ts';

/** A follower of `a/` on an etcd in memory, and what its events add up to. */
class Mirror {
  readonly clock = new FakeClock();
  readonly state = new Map<string, string>();
  readonly events: PrefixEvent[] = [];
  readonly stop = new AbortController();
  readonly session: Session;
  readonly outcome: Promise<unknown>;
  hear: (event: PrefixEvent) => void = () => {};
  /** What came of it, once it has ended. */
  ended: { readonly error: unknown } | undefined;

  constructor(etcd: MemoryEtcd, pageBytes = 1_000_000) {
    const options = { logger: silentLogger, random: () => 0.5 };
    this.session = new Session(
      { endpoints: ['http://a:1'] },
      { ...options, report: () => {}, pinned: true, dial: etcd.dial, askAgain: { first: 1, limit: 1 } },
    );
    const follower = new Follower(this.session, { ...options, prefix: 'a/', pageBytes, clock: this.clock }, (event) =>
      this.#apply(event),
    );
    this.outcome = follower.run(this.stop.signal).then(
      () => undefined,
      (error) => error,
    );
    void this.outcome.then((error) => {
      this.ended = { error };
    });
  }

  get syncs(): number {
    return this.events.filter(({ kind }) => kind === 'synced').length;
  }

  get said(): readonly string[] {
    return this.events.map((event) => {
      if (event.kind === 'synced') return 'synced';
      return event.kind === 'put' ? `${event.key}=${event.value}` : `-${event.key}`;
    });
  }

  /** Moves time until it holds; a failure says what was waited for. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const end = performance.now() + 3_000;
    for (let round = 0; !holds(); round++) {
      if (performance.now() > end) throw new Error(`Waited in vain until ${what}; said: ${this.said.slice(-20)}`);
      await this.clock.advance(100);
      if (round % 10 === 9) await sleep(1);
    }
  }

  async close(): Promise<void> {
    this.stop.abort();
    this.session.close();
    await this.outcome;
  }

  #apply(event: PrefixEvent): void {
    this.events.push(event);
    if (event.kind === 'put') this.state.set(event.key, event.value.toString());
    if (event.kind === 'delete') assert.ok(this.state.delete(event.key), `${event.key} was deleted, and was not there`);
    this.hear(event);
  }
}

describe('Follower', () => {
  let etcd: MemoryEtcd;
  const mirrors: Mirror[] = [];

  beforeEach(() => {
    etcd = new MemoryEtcd();
  });

  afterEach(async () => {
    for (const mirror of mirrors.splice(0)) await mirror.close();
  });

  const follow = (pageBytes?: number): Mirror => {
    const mirror = new Mirror(etcd, pageBytes);
    mirrors.push(mirror);
    return mirror;
  };

  const synced = async (pageBytes?: number): Promise<Mirror> => {
    const mirror = follow(pageBytes);
    await mirror.until('it is synced and watches', () => mirror.syncs === 1 && etcd.calls.includes('watch'));
    await turns();
    return mirror;
  };

  const agrees = (mirror: Mirror): Promise<void> =>
    mirror.until('it agrees with etcd', () => {
      const truth = etcd.state('a/');
      return truth.size === mirror.state.size && [...truth].every(([key, value]) => mirror.state.get(key) === value);
    });

  const turns = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) await nextTurn();
  };

  const put = (...keys: readonly string[]): void => {
    for (const key of keys) etcd.put(key, 'old');
  };

  const endOf = ({ ended }: Mirror): unknown => (ended?.error instanceof EtcdError ? ended.error.kind : ended?.error);

  it('Follower lists what is under the prefix, then hands on what happens, in order', async () => {
    put('a/1', 'a/2', 'b/1');
    const mirror = await synced();
    etcd.put('a/2', 'new');
    etcd.put('b/2', 'elsewhere');
    etcd.delete('a/1', 'a/2');
    etcd.put('a/3', 'new');
    await agrees(mirror);
    assert.deepEqual(mirror.said, ['a/1=old', 'a/2=old', 'synced', 'a/2=new', '-a/1', '-a/2', 'a/3=new']);
    assert.deepEqual(
      mirror.events.map(({ revision }) => revision),
      ['2', '3', '4', '5', '7', '7', '8'],
    );
  });

  it('Follower misses nothing that is written between listing and watch', async () => {
    put('a/1', 'a/2');
    const mirror = follow();
    mirror.hear = ({ kind }) => {
      if (kind === 'synced') etcd.delete('a/1');
    };
    await agrees(mirror);
    assert.deepEqual(mirror.said, ['a/1=old', 'a/2=old', 'synced', '-a/1']);
  });

  it('Follower resumes a broken watch from the next revision: every event once, without a listing', async () => {
    put('a/1');
    const mirror = await synced();
    const expected = ['a/1=old', 'synced'];
    for (let round = 0; round < 5; round++) {
      etcd.put('a/1', `${round}`);
      await agrees(mirror);
      etcd.cut();
      etcd.put('a/1', `${round} unheard`);
      etcd.delete('a/1');
      etcd.put('a/1', `${round} after`);
      await agrees(mirror);
      expected.push(`a/1=${round}`, `a/1=${round} unheard`, '-a/1', `a/1=${round} after`);
    }
    assert.deepEqual(mirror.said, expected);
  });

  it('Follower hands on once what etcd sends twice', async () => {
    etcd.sendsTwice = true;
    put('a/1');
    const mirror = await synced();
    etcd.put('a/1', 'new');
    etcd.delete('a/1');
    etcd.put('a/1', 'newer');
    await agrees(mirror);
    await turns();
    assert.deepEqual(mirror.said, ['a/1=old', 'synced', 'a/1=new', '-a/1', 'a/1=newer']);
  });

  for (const { title, keys, writes } of [
    { title: 'counts fewer revisions than before', keys: ['a/9'], writes: 1 },
    { title: 'has counted on, and wrote the newest key again', keys: ['a/3', 'a/9'], writes: 20 },
    { title: 'has counted on, and did not write the newest key again', keys: ['a/1', 'a/9'], writes: 20 },
    { title: 'has counted on, and holds nothing under the prefix', keys: ['b/1'], writes: 20 },
  ]) {
    it(`Follower takes out what is gone from an etcd that was emptied, and ${title}`, async () => {
      put('a/1', 'a/2', 'a/3');
      const mirror = await synced();
      etcd.restart();
      for (let i = 0; i < writes; i++) for (const key of keys) etcd.put(key, `new ${i}`);
      await agrees(mirror);
      await mirror.until('it says that it is complete', () => mirror.syncs === 2);
      etcd.put('a/later', 'new');
      await agrees(mirror);
      assert.equal(mirror.syncs, 2);
    });
  }

  it('Follower notices an etcd that was emptied between a listing and its watch', async () => {
    put('a/1', 'a/2', 'a/3');
    const mirror = follow();
    mirror.hear = ({ kind }) => {
      if (kind !== 'synced' || mirror.syncs > 1) return;
      etcd.restart();
      for (let i = 0; i < 9; i++) etcd.put('a/4', `${i}`);
    };
    await agrees(mirror);
    assert.deepEqual([...mirror.state.keys()], ['a/4']);
  });

  it('Follower notices an etcd that was restored to an older copy and has counted on', async () => {
    put('a/1', 'a/2');
    const backup = etcd.backUp();
    etcd.put('a/0', 'lost');
    const mirror = await synced();
    etcd.restart(backup);
    for (let i = 0; i < 9; i++) etcd.put('b/1', `${i}`);
    await agrees(mirror);
    assert.equal(mirror.syncs, 2);
  });

  it('Follower knows another value of the same revision for another history', async () => {
    put('a/1');
    const backup = etcd.backUp();
    etcd.put('a/1', 'lost');
    const mirror = await synced();
    etcd.restart(backup);
    etcd.put('a/1', 'found');
    etcd.put('b/1', 'more');
    await agrees(mirror);
    assert.deepEqual(mirror.said, ['a/1=lost', 'synced', 'a/1=found', 'synced']);
  });

  it('Follower lists after a compaction that it slept through, and takes out what is gone', async () => {
    put('a/kept', 'a/changed', 'a/deleted');
    const mirror = await synced();
    etcd.down();
    etcd.put('a/changed', 'new');
    etcd.put('a/added', 'new');
    etcd.delete('a/deleted');
    put('b/1', 'b/2');
    etcd.compact();
    etcd.up();
    await mirror.until('it is complete', () => mirror.syncs === 2);
    assert.deepEqual(mirror.said.slice(-5), ['a/added=new', 'a/changed=new', 'a/kept=old', '-a/deleted', 'synced']);
    etcd.put('a/later', 'new');
    await agrees(mirror);
  });

  it('Follower lists again when the newest of its keys is gone: nothing is left to know the history by', async () => {
    put('a/1', 'a/2');
    const mirror = await synced();
    etcd.delete('a/2');
    await agrees(mirror);
    etcd.restart();
    for (let i = 0; i < 9; i++) put('b/1');
    await mirror.until('it is complete', () => mirror.syncs === 2);
    assert.deepEqual(mirror.said.slice(3), ['-a/2', '-a/1', 'synced']);
  });

  it('Follower of a prefix that became empty resumes without a listing', async () => {
    put('a/1');
    const mirror = await synced();
    etcd.delete('a/1');
    await agrees(mirror);
    etcd.cut();
    put('a/2');
    await agrees(mirror);
    assert.deepEqual(mirror.said, ['a/1=old', 'synced', '-a/1', 'a/2=old']);
  });

  it('Follower of an empty prefix resumes without a listing', async () => {
    const mirror = await synced();
    etcd.cut();
    put('a/1');
    await agrees(mirror);
    assert.deepEqual(mirror.said, ['synced', 'a/1=old']);
  });

  it('Follower lists again when it is far behind, and believes that listing however much was written meanwhile', async () => {
    put('a/1');
    const mirror = await synced();
    etcd.down();
    for (let i = 0; i < 1_200; i++) put('b/1');
    etcd.put('a/1', 'new');
    etcd.up();
    mirror.hear = ({ kind }) => {
      if (kind === 'synced') for (let i = 0; i < 1_200; i++) put('b/1');
    };
    await mirror.until('it has listed again', () => mirror.syncs === 2);
    etcd.put('a/1', 'newer');
    await agrees(mirror);
    assert.deepEqual(mirror.said, ['a/1=old', 'synced', 'a/1=new', 'synced', 'a/1=newer']);
    assert.equal(etcd.watches, 1);
  });

  it('Follower lists again when its watch is cancelled', async () => {
    put('a/1');
    const mirror = await synced();
    etcd.cancelWatches('etcdserver: something else');
    put('a/2');
    await mirror.until('it has listed again', () => mirror.syncs === 2);
    put('a/3');
    await agrees(mirror);
    assert.equal(etcd.watches, 1);
  });

  it('Follower takes nothing out when a listing breaks', async () => {
    for (let i = 0; i < 500; i++) put(`a/${i}`);
    const mirror = await synced(1_000);
    etcd.down();
    for (let i = 0; i < 9; i++) put('b/1');
    etcd.compact();
    etcd.up();
    let heard = 0;
    mirror.hear = () => {
      if (++heard === 100) etcd.cut();
    };
    await mirror.until('it is complete', () => mirror.syncs === 2);
    assert.ok(heard > 500);
    assert.ok(mirror.events.every(({ kind }) => kind !== 'delete'));
  });

  it('Follower starts each time with a short delay when its watches held', async () => {
    put('a/1');
    const mirror = await synced();
    for (let round = 1; round <= 12; round++) {
      await mirror.clock.advance(6_000);
      etcd.cut();
      await turns();
      await mirror.clock.advance(100);
      await turns();
      assert.equal(etcd.calls.filter((call) => call === 'watch').length, round + 1, `after ${round} disconnects`);
    }
  });

  it('Follower waits longer and longer, up to 10 s, when its watches do not hold', async () => {
    put('a/1');
    const mirror = await synced();
    const watches = () => etcd.calls.filter((call) => call === 'watch').length;
    for (let round = 0; round < 12; round++) {
      const before = watches();
      etcd.cut();
      await turns();
      if (round > 9) await mirror.clock.advance(9_000);
      if (round > 9) {
        assert.equal(watches(), before);
        await mirror.clock.advance(1_000);
        await turns();
        assert.equal(watches(), before + 1);
      }
      await mirror.until('it watches again', () => watches() > before);
      await turns();
    }
  });

  it('Follower waits for an etcd that does not answer, and goes on when it does', async () => {
    put('a/1');
    etcd.down();
    const mirror = follow();
    await turns();
    assert.deepEqual(mirror.said, []);
    etcd.up();
    await agrees(mirror);
    etcd.down();
    await mirror.clock.advance(600_000);
    etcd.put('a/1', 'new');
    etcd.up();
    for (let i = 0; i < 1_000 && mirror.said.length < 3; i++) await sleep(1);
    assert.deepEqual(mirror.said, ['a/1=old', 'synced', 'a/1=new'], 'without a delay of its own');
  });

  it('Follower opens a watch anew that is not accepted in time', async () => {
    put('a/1');
    const mirror = follow();
    mirror.hear = ({ kind }) => {
      if (kind === 'synced') etcd.hang();
    };
    await mirror.until('the watch hangs', () => etcd.calls.includes('watch'));
    await mirror.clock.advance(29_000);
    assert.equal(etcd.dials, 1);
    await mirror.clock.advance(1_000);
    etcd.resume();
    etcd.put('a/1', 'new');
    await agrees(mirror);
    await mirror.clock.advance(60_000);
    assert.equal(etcd.dials, 2);
  });

  it('Follower lists again when a batch of events is too large for one message', async () => {
    put('a/1');
    const mirror = await synced();
    etcd.cut();
    etcd.refuse = (call) => (call === 'watch' ? grpcError(8, 'Received message larger than max (5 vs. 4)') : undefined);
    mirror.hear = ({ kind }) => {
      if (kind === 'synced') etcd.refuse = () => undefined;
    };
    etcd.put('a/1', 'new');
    await mirror.until('it has listed again', () => mirror.syncs === 2);
    await agrees(mirror);
  });

  const denied = grpcError(7, 'etcdserver: permission denied');

  it('Follower lists again when a watch is denied, as it is with a stale token, and ends when that was allowed', async () => {
    put('a/1');
    const mirror = await synced();
    etcd.cut();
    let denials = 1;
    etcd.deny = () => (denials-- > 0 ? 'etcdserver: permission denied' : undefined);
    await mirror.until('it has listed again', () => mirror.syncs === 2);
    etcd.put('a/1', 'new');
    await agrees(mirror);
    assert.equal(mirror.ended, undefined);
    etcd.cut();
    denials = 9;
    await mirror.until('it has ended', () => mirror.ended !== undefined);
    assert.equal(endOf(mirror), 'unauthorized');
    assert.equal(mirror.syncs, 3);
  });

  it('Follower ends at once when a listing is denied', async () => {
    etcd.refuse = (call) => (call === 'range' ? denied : undefined);
    const mirror = follow();
    await mirror.until('it has ended', () => mirror.ended !== undefined);
    assert.equal(endOf(mirror), 'unauthorized');
    assert.equal(etcd.ranges.length + etcd.calls.length, 1);
  });

  it('Follower ends when another cluster answers', async () => {
    put('a/1');
    const mirror = await synced();
    etcd.clusterId = '8';
    etcd.cut();
    await mirror.until('it has ended', () => mirror.ended !== undefined);
    assert.equal(endOf(mirror), 'cluster-changed');
    assert.deepEqual(mirror.said, ['a/1=old', 'synced']);
  });

  it('Follower ends with what its handler throws', async () => {
    const mirror = await synced();
    mirror.hear = () => {
      throw new RangeError('a bug');
    };
    put('a/1');
    await mirror.until('it has ended', () => mirror.ended !== undefined);
    assert.match(String(mirror.ended?.error), /RangeError: a bug/);
  });

  it('Follower ends without an error when its signal aborts, and with one when the session is closed', async () => {
    const mirror = await synced();
    mirror.stop.abort();
    assert.equal(await mirror.outcome, undefined);
    const other = follow();
    await other.until('it is synced', () => other.syncs === 1);
    other.session.close();
    const error = await other.outcome;
    assert.ok(error instanceof EtcdError && error.kind === 'closed');
    assert.ok(!etcd.store.since(0n).length);
  });

  it('Follower hands on nothing after its signal aborted, in a listing or a batch', async () => {
    put('a/1', 'a/2', 'a/3');
    const mirror = follow();
    mirror.hear = () => mirror.stop.abort();
    assert.equal(await mirror.outcome, undefined);
    assert.deepEqual(mirror.said, ['a/1=old']);
    const other = await synced();
    other.hear = () => other.stop.abort();
    etcd.delete('a/1', 'a/2');
    assert.equal(await other.outcome, undefined);
    assert.deepEqual(other.said.slice(3), ['synced', '-a/1']);
  });

  it('Follower lets others have a turn while it hands on much', async () => {
    for (let i = 0; i < 100; i++) put(`a/${i}`);
    const mirror = follow();
    let turn = 0;
    const counter = setInterval(() => turn++, 0);
    const heardIn = new Set<number>();
    mirror.hear = () => {
      heardIn.add(turn);
      const until = performance.now() + 1;
      while (performance.now() < until);
    };
    await mirror.until('it is synced', () => mirror.syncs === 1);
    clearInterval(counter);
    assert.ok(heardIn.size >= 5, `100 ms of work in ${heardIn.size} turns`);
  });

  it('Follower keeps nothing of the messages that it hands on, which may be overwritten', async () => {
    put('a/1', 'a/2');
    const mirror = await synced();
    etcd.put('a/1', 'new');
    await agrees(mirror);
    for (const event of mirror.events) if (event.kind === 'put') event.value.fill(0);
    etcd.cut();
    put('a/3');
    await agrees(mirror);
    assert.equal(mirror.syncs, 1);
  });

  /** One thing that happens to an etcd, to the network before it, or to nothing. */
  type Step = (etcd: MemoryEtcd, mirror: Mirror, backups: MemoryStore[]) => void | Promise<void>;
  const key = fc.constantFrom('a/1', 'a/2', 'a/3', 'a/4', 'b/1');
  const named = (name: string, step: Step) => Object.assign(step, { toString: () => name });
  const steps: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.tuple(key, fc.nat(99)).map(([k, v]) => named(`put ${k} ${v}`, (e) => e.put(k, `${v}`))),
    },
    {
      weight: 4,
      arbitrary: fc.uniqueArray(key, { minLength: 1 }).map((ks) => named(`delete ${ks}`, (e) => e.delete(...ks))),
    },
    { weight: 4, arbitrary: fc.constant(named('time', (_, mirror) => mirror.clock.advance(200))) },
    { weight: 3, arbitrary: fc.constant(named('turn', () => nextTurn())) },
    { weight: 3, arbitrary: fc.constant(named('cut', (e) => e.cut())) },
    fc.constant(named('compact', (e) => e.compact())),
    fc.constant(named('down', (e) => e.down())),
    fc.constant(named('up', (e) => e.up())),
    fc.constant(named('hang', (e) => e.hang())),
    fc.constant(named('resume', (e) => e.resume())),
    fc.constant(named('empty', (e) => e.restart())),
    fc.constant(named('back up', (e, _, backups) => void backups.push(e.backUp()))),
    fc.constant(named('restore', (e, _, backups) => e.restart(backups.at(-1)))),
    fc.constant(
      named('twice', (e) => {
        e.sendsTwice = !e.sendsTwice;
      }),
    ),
  );

  it('Follower ends up with what etcd has, whatever happens to it, and deletes nothing without a reason', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { maxLength: 40 }), async (history) => {
        etcd = new MemoryEtcd();
        const mirror = new Mirror(etcd, 40);
        const lives: MemoryStore[] = [etcd.store];
        mirror.hear = (event) => {
          if (event.kind !== 'delete') return;
          const gone = lives.some((life) => lacks(life, event.key, event.revision));
          assert.ok(gone, `${event.key} was never gone at revision ${event.revision}`);
        };
        try {
          const backups: MemoryStore[] = [];
          for (const step of history) {
            await step(etcd, mirror, backups);
            if (lives.at(-1) !== etcd.store) lives.push(etcd.store);
          }
          etcd.up();
          etcd.resume();
          etcd.put('a/end', '');
          await agrees(mirror);
          await turns();
          await agrees(mirror);
          assert.equal(mirror.ended, undefined);
          if (lives.length === 1 && mirror.syncs === 1) assert.deepEqual(mirror.said, saidOf(etcd, mirror));
        } finally {
          await mirror.close();
        }
      }),
      { numRuns: 150 },
    );
  });
});

/** Whether the key was not there at the revision; what was compacted since cannot be told. */
function lacks(store: MemoryStore, name: string, revision: string): boolean {
  try {
    return store.range({ key: Buffer.from(name), revision }).kvs.length === 0;
  } catch {
    return BigInt(revision) < store.compacted;
  }
}

/** What a follower that listed once must have said, by the versions that etcd keeps. */
function saidOf(etcd: MemoryEtcd, mirror: Mirror): readonly string[] {
  const at = mirror.events.findIndex(({ kind }) => kind === 'synced');
  const from = BigInt(mirror.events[at]?.revision ?? 0) + 1n;
  const later = etcd.store.since(from).flat();
  if (from <= etcd.store.compacted) return mirror.said;
  return [
    ...mirror.said.slice(0, at + 1),
    ...later
      .filter(({ kv }) => kv.key.toString().startsWith('a/'))
      .map(({ type, kv }) => (type === 'Put' ? `${kv.key}=${kv.value}` : `-${kv.key}`)),
  ];
}
