import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { FakeClock } from '../../process/clock.fixture.ts';
import type { Health } from '../../process/health.ts';
import { type LogFields, silentLogger } from '../../process/logger.ts';
import { Notifier } from '../../process/notifier.ts';
import { AGAIN, retry } from '../../process/retry.ts';
import { EtcdError, type EtcdErrorKind } from '../session/errors.ts';
import { LeaseEtcd } from './lease-etcd.fixture.ts';
import { LeasedWriter } from './leased-writer.ts';

const CANARY = 'canary';

describe('LeasedWriter', () => {
  let clock: FakeClock;
  let etcd: LeaseEtcd;
  let open: LeasedWriter[];
  const space: Health[] = [];
  const logged: (readonly [line: string, fields: LogFields])[] = [];
  const note = (level: string) => (fields: LogFields, msg: string) => void logged.push([`${level} ${msg}`, fields]);

  beforeEach(() => {
    clock = new FakeClock();
    etcd = new LeaseEtcd(clock);
    open = [];
    space.length = 0;
    logged.length = 0;
  });
  afterEach(() => {
    for (const writer of open) writer.close();
  });

  function writer(holder?: string, leaseTtlSeconds = 30): LeasedWriter {
    const made = new LeasedWriter(etcd.session(new AbortController()), {
      ...{ clock, leaseTtlSeconds, keysPerLease: 2, timeoutMs: 10_000, pageBytes: 100, random: () => 0.5 },
      logger: { ...silentLogger, info: note('info'), warn: note('warn'), error: note('error') },
      fence: holder === undefined ? undefined : { key: 'fence', holder },
      reportSpace: (health) => void space.push(health),
    });
    open.push(made);
    return made;
  }

  const kinded = (kind: EtcdErrorKind) => (error: unknown) => error instanceof EtcdError && error.kind === kind;
  const leaseOf = (key: string) => etcd.entries.get(key)?.lease ?? '';

  it('put() replaces a lease that was revoked while the connection holds, once for all its keys, and tells which', async () => {
    const ours = writer();
    const lost: (readonly string[])[] = [];
    ours.onKeysLost((keys) => void lost.push(keys));
    for (const key of ['a', 'b']) await ours.put(key, '1');
    etcd.revoke(leaseOf('a'));
    await ours.put('a', '2');
    assert.equal(etcd.entries.get('a')?.value.toString(), '2');
    assert.deepEqual(lost, [['a', 'b']]);
    await ours.put('b', '2');
    assert.equal(lost.length, 1);
    assert.equal(leaseOf('a'), leaseOf('b'));
  });

  it('put() fails as lease-lost when the new lease is lost, too', async () => {
    etcd.refuse = () => 'etcdserver: requested lease not found';
    await assert.rejects(writer().put('a', '1'), kinded('lease-lost'));
  });

  it('adopt() keeps alive what a predecessor left, with its own time to live, and moves no revision', async () => {
    etcd.put('a/1', 'x', etcd.grant(20));
    etcd.put('a/2', 'x');
    const before = etcd.revision;
    await clock.advance(15_000);
    const { foreign } = await writer().adopt('a/');
    assert.deepEqual([...foreign], ['a/2']);
    for (let i = 0; i < 100; i++) {
      await clock.advance(1_000);
      etcd.expire();
    }
    assert.deepEqual([...etcd.entries.keys()], ['a/1', 'a/2']);
    assert.equal(etcd.revision, before);
  });

  it('adopt() renews at once what a predecessor left, though it keeps others alive already', async () => {
    const ours = writer();
    await ours.put('b/1', 'x');
    await clock.advance(1_000);
    etcd.put('a/1', 'x', etcd.grant(2));
    await ours.adopt('a/');
    await clock.advance(1_900);
    etcd.expire();
    await clock.advance(1_000);
    etcd.expire();
    assert.deepEqual([...etcd.entries.keys()], ['b/1', 'a/1']);
  });

  it('put() does not use a lease that was so long on its way that a canary could outlive it', async () => {
    const ours = writer();
    await ours.put('a', '1');
    await ours.put('b', '1');
    etcd.delay = () => 4_500;
    await clock.advance(7_000);
    // The next round begins meanwhile, and does not ask for the new lease.
    const put = ours.put('c', '1');
    await clock.advance(8_999);
    etcd.delay = () => 0;
    await clock.advance(1);
    await put;
    assert.deepEqual([leaseOf('a'), leaseOf('c')], ['1', '3']);
  });

  it('writes an adopted key with the lease that it has', async () => {
    const lease = etcd.grant(20);
    etcd.put('a/1', 'x', lease);
    const ours = writer();
    await ours.adopt('a/');
    await ours.put('a/1', 'y');
    await ours.put('a/2', 'y');
    assert.equal(leaseOf('a/1'), lease);
    assert.notEqual(leaseOf('a/2'), lease);
  });

  it('writes only while the fence is its own', async () => {
    const [first, second] = [writer('one'), writer('two')];
    await assert.rejects(first.put('a', '1'), kinded('fenced'));
    assert(first.fence && second.fence);
    await first.fence.take(await first.fence.look());
    await first.put('a', '1');
    const { tenure } = first.fence;
    assert.equal((await second.fence.look()).holder, 'another');
    await second.fence.take(await second.fence.look());
    await assert.rejects(first.put('a', '2'), kinded('fenced'));
    await assert.rejects(first.delete('a'), kinded('fenced'));
    assert.equal(tenure?.aborted, true);
    assert.equal(first.fence.tenure, undefined);
    await second.put('a', '3');
    assert.equal(etcd.entries.get('a')?.value.toString(), '3');
  });

  it('takes a fence only if nobody did since it was looked at', async () => {
    const [first, second] = [writer('one').fence, writer('two').fence];
    assert(first && second);
    const view = await first.look();
    await second.take(await second.look());
    await first.take(view);
    assert.equal(first.tenure, undefined);
    assert.equal((await second.look()).holder, 'us');
  });

  it('leaves the fence to others at the end, and at its death after a while', async () => {
    const [first, second] = [writer('one'), writer('two')];
    assert(first.fence && second.fence);
    await first.fence.take(await first.fence.look());
    await first.fence.release();
    assert.equal((await second.fence.look()).holder, 'nobody');
    await first.fence.take(await first.fence.look());
    await clock.advance(60_000);
    etcd.expire();
    assert.equal((await second.fence.look()).holder, 'another');
    first.close();
    await clock.advance(15_000);
    etcd.expire();
    assert.equal((await second.fence.look()).holder, 'nobody');
  });

  it('knows a predecessor of its name, and neither writes in its place nor leaves what is not its own', async () => {
    const [older, newer] = [writer('one'), writer('one')];
    const [first, second] = [older.fence, newer.fence];
    assert(first && second);
    await first.take(await first.look());
    assert.equal((await second.look()).holder, 'predecessor');
    await assert.rejects(newer.put('a', '1'), kinded('fenced'));
    await second.release();
    assert.equal((await first.look()).holder, 'us');
    assert.notEqual(first.tenure, undefined);
  });

  it('sees that another took the fence, and leaves that alone at the end', async () => {
    const { fence } = writer('one');
    assert(fence);
    let isHeld = false;
    void fence.held(new AbortController().signal).then(() => {
      isHeld = true;
    });
    await turn();
    assert.equal(isHeld, false);
    await fence.take(await fence.look());
    await turn();
    assert.equal(isHeld, true);
    etcd.put('fence', 'two');
    const { tenure } = fence;
    await fence.release();
    assert.deepEqual([etcd.entries.has('fence'), tenure?.aborted, fence.tenure], [true, true, undefined]);
    etcd.delete('fence');
    await fence.take(await fence.look());
    etcd.put('fence', 'two');
    assert.equal((await fence.look()).holder, 'another');
    assert.equal(fence.tenure, undefined);
  });

  it('loses the fence with its lease', async () => {
    const { fence } = writer('one');
    assert(fence);
    await fence.take(await fence.look());
    const { tenure } = fence;
    etcd.revoke(leaseOf('fence'));
    await clock.advance(5_000);
    assert.equal(tenure?.aborted, true);
  });

  it('tells that etcd has no space, does not try at once, and tells when it has some again', async () => {
    const ours = writer();
    await ours.put('a', '1');
    etcd.refuse = () => 'etcdserver: mvcc: database space exceeded';
    for (let i = 0; i < 3; i++) await assert.rejects(ours.put('a', '2'), kinded('no-space'));
    assert.deepEqual(
      space.map(({ kind }) => kind),
      ['failing'],
    );
    let ready = false;
    void ours.ready(new AbortController().signal).then(() => {
      ready = true;
    });
    await clock.advance(1_000);
    assert.equal(ready, false);
    await clock.advance(1_000);
    assert.equal(ready, true);
    etcd.refuse = () => undefined;
    await ours.put('a', '2');
    assert.equal(space.at(-1)?.kind, 'ok');
    const reason =
      'Cannot write "a" (1 bytes) at http://etcd: expected space in its database: etcdserver: mvcc: database space exceeded';
    assert.deepEqual(logged, [
      ['error etcd has no space left and takes no writes', { reason }],
      ['info etcd has space again', {}],
    ]);
  });

  it('says nothing of space when etcd refuses a write for another reason', async () => {
    const ours = writer();
    etcd.refuse = () => 'etcdserver: too many requests';
    await assert.rejects(ours.put('a', '1'));
    assert.deepEqual(space, []);
    let ready = false;
    void ours.ready(new AbortController().signal).then(() => {
      ready = true;
    });
    await clock.advance(0);
    assert.equal(ready, true);
  });

  it('keeps alive what it wrote, and tells which keys went with a lease that was lost', async () => {
    const ours = writer();
    const lost: (readonly string[])[] = [];
    ours.onKeysLost((keys) => void lost.push(keys));
    await ours.put('a', '1');
    for (let i = 0; i < 100; i++) {
      await clock.advance(1_000);
      etcd.expire();
    }
    assert.deepEqual([[...etcd.entries.keys()], lost], [['a'], []]);
    const lease = leaseOf('a');
    etcd.revoke(lease);
    await clock.advance(10_000);
    assert.deepEqual(lost, [['a']]);
    const line = 'warn etcd lost a lease, its keys will be written again';
    assert.deepEqual(logged, [[line, { lease, keys: 1 }]]);
  });

  it('put() tells of a lost lease once, though two writes find out', async () => {
    const ours = writer();
    const lost: (readonly string[])[] = [];
    ours.onKeysLost((keys) => void lost.push(keys));
    for (const key of ['a', 'b']) await ours.put(key, '1');
    etcd.revoke(leaseOf('a'));
    await Promise.all(['a', 'b'].map((key) => ours.put(key, '2')));
    assert.deepEqual(lost, [['a', 'b']]);
  });

  it('delete() tells whether the key was there, and gives its place on the lease to another', async () => {
    const ours = writer();
    for (const key of ['a', 'b']) await ours.put(key, '1');
    assert.equal(await ours.delete('a'), true);
    assert.equal(await ours.delete('a'), false);
    assert.deepEqual([...etcd.entries.keys()], ['b']);
    await ours.put('c', '1');
    assert.equal(leaseOf('c'), leaseOf('b'));
    assert.deepEqual(logged, [], 'a deletion that changes nothing is no older state');
  });

  it('list() takes over nothing', async () => {
    etcd.put('a/1', 'x', etcd.grant(20));
    const ours = writer();
    const { entries, foreign } = await ours.list('a/');
    assert.deepEqual([[...entries.keys()], [...foreign], ours.leases], [['a/1'], ['a/1'], 0]);
  });

  describe('when etcd goes back to an older state', () => {
    const lost: string[] = [];
    let ours: LeasedWriter;

    beforeEach(async () => {
      ours = writer('one');
      await ours.fence?.take(await ours.fence.look());
      await ours.put('a', '1');
      await clock.advance(1);
      await ours.vouch(CANARY, 'now', new AbortController().signal);
      lost.length = 0;
      ours.onKeysLost((keys) => void lost.push(...keys));
      etcd.revision = 1;
    });

    const assertSeen = (): void => {
      assert.deepEqual(lost, [CANARY, 'a']);
      assert.deepEqual(logged[0], ['warn etcd went back to an older state', { endpoint: 'http://etcd' }]);
      assert.equal(ours.fence?.tenure, undefined);
      assert.equal(ours.leases, 0);
    };

    it('sees it with the next connection', async () => {
      etcd.restart();
      await clock.advance(1_000);
      assertSeen();
    });

    it('sees it with the next write', async () => {
      await ours.put('b', '1').catch(() => {});
      assert.deepEqual(lost.slice(0, 1), [CANARY]);
      assert.deepEqual(lost.toSorted(), ['a', 'b', CANARY]);
    });

    it('sees it with a write that brings the revision just to what it was', async () => {
      etcd.revision = Number(etcd.entries.get(CANARY)?.mod_revision) - 1;
      await ours.put('a', '2');
      assert.ok(lost.includes(CANARY));
    });
  });

  describe('a canary', () => {
    it('is written when all leases were renewed, goes on, and ends when it is retracted', async () => {
      const ours = writer();
      const { signal } = new AbortController();
      await ours.put('a', '1');
      await ours.vouch(CANARY, 'now', signal);
      for (let i = 0; i < 300; i++) {
        await clock.advance(1_000);
        etcd.expire();
        assert(etcd.entries.has(CANARY), `there after ${i} s`);
      }
      assert.notEqual(leaseOf(CANARY), leaseOf('a'));
      ours.retract(CANARY);
      await clock.advance(20_000);
      etcd.expire();
      assert.deepEqual([...etcd.entries.keys()], ['a']);
    });

    it('does not hang on a lease that was granted so late that it could outlive the others', async () => {
      const ours = writer();
      await ours.put('a', '1');
      let messages = 0;
      // Renewals there, of one lease; then the grant, there and back.
      etcd.delay = () => (++messages > 1 ? 4_000 : 0);
      void ours.vouch(CANARY, 'now', new AbortController().signal);
      await clock.advance(9_000);
      assert(!etcd.entries.has(CANARY));
      etcd.delay = () => 0;
      await clock.advance(10_000);
      assert(etcd.entries.has(CANARY));
    });

    it('waits for a round that began after what it vouches for was taken over', async () => {
      const ours = writer();
      await ours.put('b/1', '1');
      await clock.advance(9_000);
      etcd.delay = () => 1_000;
      // The round that begins here knows nothing of what is adopted meanwhile.
      await clock.advance(1_500);
      etcd.delay = () => 0;
      etcd.put('a/1', 'x', etcd.grant(5));
      await ours.adopt('a/');
      void ours.vouch(CANARY, 'there', new AbortController().signal);
      // Enough messages for a canary, but not for another round before it.
      let messages = 0;
      etcd.delay = () => (++messages > 4 ? 60_000 : 0);
      await clock.advance(1_000);
      assert(!etcd.entries.has(CANARY));
      etcd.delay = () => 0;
      await clock.advance(20_000);
      assert(etcd.entries.has(CANARY));
    });

    it('ends before all that it vouches for, whenever its writer dies, and whatever happens', async () => {
      const keys = ['a/1', 'a/2', 'a/3', 'a/4', 'a/5'];
      const seconds = fc.integer({ min: 0, max: 20 });
      const event = fc.oneof(
        fc.record({ do: fc.constantFrom('pass' as const, 'succeed' as const), seconds }),
        fc.record({ do: fc.constant('restart' as const) }),
        fc.record({ do: fc.constant('write' as const), key: fc.constantFrom(...keys) }),
        fc.record({ do: fc.constant('slow' as const), ms: fc.constantFrom(0, 10, 1_000, 4_000, 9_000, 15_000) }),
      );
      const chances = fc.infiniteStream(fc.integer({ min: 0, max: 100 }));
      const property = fc.asyncProperty(
        fc.array(event, { minLength: 5, maxLength: 20 }),
        chances,
        async (events, random) => {
          clock = new FakeClock();
          etcd = new LeaseEtcd(clock);
          let slowest = 0;
          etcd.delay = () => Math.floor((slowest * (random.next().value ?? 0)) / 100);
          const check = () => {
            etcd.expire();
            const missing = keys.filter((key) => !etcd.entries.has(key));
            if (etcd.entries.has(CANARY)) assert.deepEqual(missing, [], `at ${clock.now()} ms`);
          };
          const pass = async (time: number) => {
            for (let tenths = 0; tenths < time * 10; tenths++) {
              await clock.advance(100);
              check();
            }
          };
          /** As the exporter: takes over what is there with its canary, or writes what is missing, again after each loss. */
          const start = () => {
            const [ours, ending, lost] = [writer(undefined, 25), new AbortController(), new Notifier()];
            const { signal } = ending;
            const again = { signal, clock, first: 500, limit: 500, random: () => 0.5 };
            ours.onKeysLost(() => {
              ours.retract(CANARY);
              lost.notify();
            });
            const takeOver = async () => {
              const { version } = lost;
              await ours.adopt('a/');
              if ((await ours.get(CANARY)) && lost.version === version) void ours.vouch(CANARY, 'there', signal);
            };
            const makeWhole = async () => {
              const { version } = lost;
              const { entries, foreign } = await ours.list('a/');
              for (const key of keys) if (!entries.has(key) || foreign.has(key)) await ours.put(key, 'anew');
              if (lost.version === version) await ours.vouch(CANARY, 'anew', signal);
              await lost.changed(version, signal);
              return AGAIN;
            };
            const adopted = retry(takeOver, again);
            void adopted.then(() => retry(makeWhole, again));
            const write = (key: string, value: string) => adopted.then(() => retry(() => ours.put(key, value), again));
            return { write, die: () => [ending.abort(), ours.close()] };
          };
          let living = start();
          await pass(1);
          assert(etcd.entries.has(CANARY));
          for (const [i, each] of events.entries()) {
            if (each.do === 'pass') await pass(each.seconds);
            if (each.do === 'restart') etcd.restart();
            if (each.do === 'write') void living.write(each.key, `${i}`);
            if (each.do === 'slow') slowest = each.ms;
            if (each.do === 'succeed') {
              living.die();
              await pass(each.seconds);
              living = start();
            }
            check();
          }
          slowest = 0;
          await pass(45);
          assert(etcd.entries.has(CANARY), 'there again when all is well');
          living.die();
          await pass(60);
        },
      );
      await fc.assert(property, { numRuns: 40 });
    });
  });

  it('lets nothing wait that is closed', async () => {
    const ours = writer();
    ours.close();
    await assert.rejects(ours.put('a', '1'), kinded('closed'));
    await turn();
    assert.equal(clock.waiting, 0);
  });
});
