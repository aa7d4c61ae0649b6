import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import type { Connection } from '../session/connection.ts';
import type { Session } from '../session/session.ts';
import { LeaseKeeper } from './lease-keeper.ts';

class Stream extends EventEmitter {
  readonly asked: string[] = [];
  cancelled = false;

  write({ ID }: { ID: string }): void {
    this.asked.push(ID);
  }

  cancel(): void {
    this.cancelled = true;
  }
}

describe('LeaseKeeper', () => {
  const closing = () => {
    const closed = new AbortController();
    const opening = Promise.withResolvers<Stream>();
    const connection = { openKeepAlive: () => opening.promise } as unknown as Connection;
    const session = { closed: closed.signal, connection: async () => connection } as Session;
    const keeper = new LeaseKeeper(session, {
      intervalMs: 60_000,
      random: Math.random,
      ids: () => ['7'],
      connected: () => {},
      lost: () => {},
    });
    keeper.ensureRunning();
    return { closed, opening, stream: new Stream() };
  };

  it('asks for its leases at once, and lets go of the stream when the session closes', async () => {
    const { closed, opening, stream } = closing();
    opening.resolve(stream);
    await turn();
    assert.deepEqual(stream.asked, ['7']);
    assert.equal(stream.cancelled, false);
    closed.abort();
    await turn();
    assert.equal(stream.cancelled, true);
  });

  it('lets go of a stream that opens only after the session was closed', async () => {
    const { closed, opening, stream } = closing();
    await turn();
    closed.abort();
    opening.resolve(stream);
    await turn();
    assert.equal(stream.cancelled, true);
    assert.deepEqual(stream.asked, []);
  });
});
