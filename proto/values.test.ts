import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatApiAddress, parseApiAddress } from './address.ts';
import { msFromTimestamp, timestampFromMs } from './timestamp.ts';

describe('parseApiAddress()', () => {
  const good = [
    ['unix:///run/tombolo/agent.sock', { kind: 'unix', path: '/run/tombolo/agent.sock' }],
    ['/run/a.sock', { kind: 'unix', path: '/run/a.sock' }],
    ['127.0.0.1:50051', { kind: 'tcp', host: '127.0.0.1', port: 50051 }],
    ['[::1]:0', { kind: 'tcp', host: '::1', port: 0 }],
    ['node-1.example:7', { kind: 'tcp', host: 'node-1.example', port: 7 }],
  ] as const;
  for (const [text, value] of good) {
    it(`reads ${text}`, () => assert.deepEqual(parseApiAddress(text), { ok: true, value }));
  }

  for (const text of ['', 'unix:', 'unix:relative', ':80', 'host', 'host:', 'host:70000', '::1:80', 'a b:1', '/tmp/']) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseApiAddress(text).ok, false));
  }

  it('reads back what formatApiAddress() writes', () => {
    for (const [, value] of good) assert.deepEqual(parseApiAddress(formatApiAddress(value)), { ok: true, value });
  });
});

describe('timestampFromMs()', () => {
  it('is undone by msFromTimestamp(), and 0 is never', () => {
    fc.assert(fc.property(fc.nat(4_000_000_000_000), (ms) => msFromTimestamp(timestampFromMs(ms)) === ms));
    assert.equal(timestampFromMs(0), null);
  });
});
