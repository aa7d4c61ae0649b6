import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { FakeClock } from '../../process/clock.fixture.ts';
import type { Health } from '../../process/health.ts';
import { silentLogger } from '../../process/logger.ts';
import { EtcdError, type EtcdErrorKind } from '../session/errors.ts';
import { LeaseEtcd } from './lease-etcd.fixture.ts';
import { LeasedWriter } from './leased-writer.ts';

const CANARY = 'canary';

describe('LeasedWriter', () => {
  let clock: FakeClock;
  let etcd: LeaseEtcd;
  let open: LeasedWriter[];
  const space: Health[] = [];

  beforeEach(() => {
    clock = new FakeClock();
    etcd = new LeaseEtcd(clock);
    open = [];
    space.length = 0;
  });
  afterEach(() => {
    for (const writer of open) writer.close();
  });

  function writer(holder?: string, leaseTtlSeconds = 30): LeasedWriter {
    const made = new LeasedWriter(etcd.session(new AbortController()), {
      ...{ clock, leaseTtlSeconds, keysPerLease: 2, timeoutMs: 10_000, pageBytes: 100, random: () => 0.5 },
      logger: silentLogger,
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

  it('knows a predecessor of its name', async () => {
    const [first, second] = [writer('one').fence, writer('one').fence];
    assert(first && second);
    await first.take(await first.look());
    assert.equal((await second.look()).holder, 'predecessor');
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
          /** Takes over what is there; if that is not enough, writes everything. */
          const start = () => {
            const [ours, ending] = [writer(undefined, 25), new AbortController()];
            const work = async () => {
              await ours.adopt('a/');
              const found = await ours.get(CANARY);
              if (!found) for (const key of keys) await ours.put(key, 'anew');
              if (!ending.signal.aborted) await ours.vouch(CANARY, 'there', ending.signal);
            };
            ours.onKeysLost(() => ours.retract(CANARY));
            void work().catch(() => {});
            return { ours, die: () => [ending.abort(), ours.close()] };
          };
          let living = start();
          await pass(1);
          assert(etcd.entries.has(CANARY));
          for (const [i, each] of events.entries()) {
            if (each.do === 'pass') await pass(each.seconds);
            if (each.do === 'restart') etcd.restart();
            if (each.do === 'write') void living.ours.put(each.key, `${i}`).catch(() => {});
            if (each.do === 'slow') slowest = each.ms;
            if (each.do === 'succeed') {
              living.die();
              await pass(each.seconds);
              living = start();
            }
            check();
          }
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
