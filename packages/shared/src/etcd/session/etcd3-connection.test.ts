import assert from 'node:assert/strict';
import { createServer, type Http2Server, type IncomingHttpHeaders } from 'node:http2';
import type { Connection } from './connection.ts';
import { Etcd3Connection } from './etcd3-connection.ts';

const key = Buffer.from('a');

/** A server that takes calls and answers none: what a client asks for can be seen, and how it gives up. */
describe('Etcd3Connection', () => {
  let server: Http2Server;
  let connection: Connection;
  let nextCall: Promise<IncomingHttpHeaders>;

  beforeEach(async () => {
    server = createServer();
    nextCall = new Promise((resolve) => {
      server.on('stream', (stream, headers) => {
        stream.on('error', () => {});
        resolve(headers);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const target = typeof address === 'object' && address ? `127.0.0.1:${address.port}` : '';
    connection = new Etcd3Connection({ url: `http://${target}`, target, secure: false }, undefined);
  });

  afterEach(() => {
    connection.close();
    server.close();
  });

  it('watch() asks for a member that has a leader, and ends with its signal', async () => {
    const giveUp = new AbortController();
    const watch = connection.watch({ key, range_end: Buffer.from('b'), start_revision: '1' }, giveUp.signal);
    const first = watch.next();
    const headers = await nextCall;
    assert.equal(headers[':path'], '/etcdserverpb.Watch/Watch');
    assert.equal(headers['hasleader'], 'true');
    giveUp.abort();
    await assert.rejects(first, /CANCELLED/);
  });

  it('a unary call can be given up by a signal', async () => {
    const giveUp = new AbortController();
    const call = connection.kv.range({ key }, { deadline: Date.now() + 60_000, signal: giveUp.signal });
    const headers = await nextCall;
    assert.equal(headers[':path'], '/etcdserverpb.KV/Range');
    assert.equal(headers['hasleader'], undefined);
    giveUp.abort();
    await assert.rejects(call, /range call was given up/);
  });

  it('a unary call without an answer ends at its deadline', async () => {
    await assert.rejects(
      connection.kv.range({ key }, { deadline: Date.now() + 50, signal: new AbortController().signal }),
      /DEADLINE/,
    );
  });
});
