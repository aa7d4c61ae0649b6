import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { FakeClock } from '../../process/clock.fixture.ts';
import type { Connection } from '../session/connection.ts';
import type { Session } from '../session/session.ts';
import { LeaseKeeper, type Round } from './lease-keeper.ts';

class Stream extends EventEmitter {
  readonly asked: string[] = [];
  cancelled = false;

  write({ ID }: { ID: string }): void {
    this.asked.push(ID);
  }

  cancel(): void {
    this.cancelled = true;
  }

  answer(ID: string, TTL: number): void {
    this.emit('data', { header: {}, ID, TTL: `${TTL}` });
  }
}

describe('LeaseKeeper', () => {
  let clock: FakeClock;
  let closed: AbortController;
  let opening: PromiseWithResolvers<Stream>;
  let stream: Stream;
  let ids: string[];
  let lost: string[];
  let rounds: Round[];
  let renewed: (round: Round) => Promise<void>;
  let dropped: string[];
  let keeper: LeaseKeeper;
  let connected: number;
  let confirm: () => void;
  let keeperOf: () => LeaseKeeper;

  beforeEach(() => {
    clock = new FakeClock();
    closed = new AbortController();
    opening = Promise.withResolvers();
    stream = new Stream();
    ids = ['7', '8'];
    lost = [];
    rounds = [];
    dropped = [];
    connected = 0;
    confirm = () => {};
    renewed = async (round) => void rounds.push(round);
    const connection = { openKeepAlive: () => opening.promise, endpoint: { url: 'x' } } as unknown as Connection;
    const session = {
      closed: closed.signal,
      connection: async () => connection,
      confirm: () => confirm(),
      drop: (_: unknown, reason: Error) => void dropped.push(reason.message),
      ready: async () => {},
    } as unknown as Session;
    keeperOf = () =>
      new LeaseKeeper(session, {
        clock,
        ttlMs: 30_000,
        ids: () => ids,
        connected: () => void connected++,
        lost: (id) => void lost.push(id),
        renewed: (round) => renewed(round),
      });
    keeper = keeperOf();
    keeper.ensureRunning();
  });
  afterEach(() => closed.abort());

  /** A stream is open, and the first round was asked for. */
  async function open(): Promise<void> {
    opening.resolve(stream);
    await turn();
    assert.deepEqual(stream.asked.splice(0), ids);
  }

  it('asks for its leases at once, and lets go of the stream when the session closes', async () => {
    await open();
    assert.deepEqual([stream.cancelled, connected], [false, 1]);
    closed.abort();
    await turn();
    assert.equal(stream.cancelled, true);
    assert.deepEqual(dropped, [], 'there is no fault in that');
  });

  it('lets go of a stream that opens only after the session was closed', async () => {
    await turn();
    closed.abort();
    opening.resolve(stream);
    await turn();
    assert.equal(stream.cancelled, true);
    assert.deepEqual([stream.asked, connected], [[], 0]);
  });

  it('asks again after a third of the shortest time to live, be it that of a lease it found', async () => {
    await open();
    stream.answer('7', 30);
    stream.answer('8', 12);
    await clock.advance(3_999);
    assert.deepEqual(stream.asked, []);
    await clock.advance(1);
    assert.deepEqual(stream.asked, ['7', '8']);
    assert.deepEqual(rounds, [{ number: 1, since: 0, ttlMs: 12_000 }]);
  });

  it('tells which are lost, and of no round in which one was', async () => {
    await open();
    stream.answer('7', 0);
    stream.answer('8', 30);
    await turn();
    assert.deepEqual([lost, rounds], [['7'], []]);
    ids = ['8'];
    await clock.advance(500);
    stream.answer('8', 30);
    await turn();
    assert.deepEqual(rounds, [{ number: 2, since: 500, ttlMs: 30_000 }]);
  });

  it('renewAll() waits for a round that began after it, and for what was to be done then', async () => {
    await open();
    const done: string[] = [];
    void keeper.renewAll(closed.signal).then(() => done.push('renewed'));
    const hook = Promise.withResolvers<void>();
    renewed = () => hook.promise;
    for (const id of ids) stream.answer(id, 30);
    hook.resolve();
    await turn();
    assert.deepEqual([done, stream.asked], [[], ids]);
    for (const id of ids) stream.answer(id, 30);
    await turn();
    assert.deepEqual(done, ['renewed']);
  });

  it('renewSoon() has the next round begin when the one under way has ended', async () => {
    await open();
    keeper.renewSoon();
    await turn();
    assert.deepEqual([stream.asked, keeper.begun], [[], 1]);
    for (const id of ids) stream.answer(id, 30);
    await turn();
    assert.deepEqual([stream.asked, keeper.begun], [ids, 2]);
  });

  it('begins again soon when what was to be done after a round failed', async () => {
    await open();
    renewed = () => Promise.reject(new Error('no'));
    for (const id of ids) stream.answer(id, 30);
    await clock.advance(500);
    assert.deepEqual(stream.asked, ids);
  });

  it('gives up a connection that breaks, or leaves a round without an answer', async () => {
    await open();
    stream.answer('7', 30);
    await clock.advance(10_000);
    assert.match(dropped.join(), /did not answer for its leases/);
    assert.equal(stream.cancelled, true);
    stream.asked.length = 0;
    await clock.advance(100);
    assert.deepEqual(stream.asked, ids);
    stream.emit('error', new Error('broken'));
    await turn();
    assert.match(dropped[1] ?? '', /broken/);
    await clock.advance(1_000);
    stream.emit('end');
    await turn();
    assert.match(dropped[2] ?? '', /the stream ended/);
    await clock.advance(1_000);
    confirm = () => {
      throw new Error('another etcd');
    };
    stream.answer('7', 30);
    await turn();
    assert.match(dropped[3] ?? '', /another etcd/);
    assert.equal(connected, 4);
  });

  it('waits for no answer that the connection before owed', async () => {
    await open();
    stream.answer('8', 30);
    stream.emit('error', new Error('broken'));
    ids = ['8'];
    await clock.advance(100);
    stream.answer('8', 30);
    await turn();
    assert.equal(rounds.length, 1);
  });

  it('does not count a round during whose end the stream broke', async () => {
    await open();
    await clock.advance(1);
    const done: string[] = [];
    void keeper.renewAll(closed.signal).then(() => done.push('renewed'));
    for (const id of ids) stream.answer(id, 30);
    await turn();
    const hook = Promise.withResolvers<void>();
    renewed = () => hook.promise;
    for (const id of ids) stream.answer(id, 30);
    await turn();
    stream.emit('error', new Error('broken'));
    hook.resolve();
    await turn();
    assert.deepEqual(done, []);
  });

  it('renewAll() keeps leases alive from then on', async () => {
    await open();
    void keeperOf().renewAll(closed.signal);
    await turn();
    assert.deepEqual(stream.asked, ids);
  });
});
