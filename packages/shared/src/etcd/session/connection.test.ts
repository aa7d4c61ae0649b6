import assert from 'node:assert/strict';
import { createServer, type Http2Server, type IncomingHttpHeaders } from 'node:http2';
import { Connection } from './connection.ts';

/** A server that takes calls and answers none: what a client asks for can be seen, and how it gives up. */
describe('Connection', () => {
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
    connection = new Connection({ url: `http://${target}`, target, secure: false }, undefined);
  });

  afterEach(() => {
    connection.close();
    server.close();
  });

  it('openWatch() asks for a member that has a leader', async () => {
    const stream = await connection.openWatch();
    stream.on('error', () => {});
    const headers = await nextCall;
    stream.cancel();
    assert.equal(headers[':path'], '/etcdserverpb.Watch/Watch');
    assert.equal(headers['hasleader'], 'true');
  });

  it('a unary call can be given up by a signal', async () => {
    const giveUp = new AbortController();
    const call = connection.kv.range({ key: Buffer.from('a') }, { signal: giveUp.signal } as object);
    const headers = await nextCall;
    assert.equal(headers[':path'], '/etcdserverpb.KV/Range');
    assert.equal(headers['hasleader'], undefined);
    giveUp.abort();
    await assert.rejects(call, /range call was given up/);
  });

  it('a unary call without an answer ends at its deadline', async () => {
    await assert.rejects(connection.kv.range({ key: Buffer.from('a') }, { deadline: Date.now() + 50 }), /DEADLINE/);
  });
});
