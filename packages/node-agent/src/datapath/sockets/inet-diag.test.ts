import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { AF_INET, AF_INET6, messagesOf } from '../netlink/messages.ts';
import { markOf } from './connected.ts';
import { connectionOf, connectionsTo, destroy, MOST_DESTINATIONS, type Place, placeId } from './inet-diag.ts';

const place = (address: string, port: number): Place => ({ protocol: 'TCP', address: ip(address), port });

/** As the kernel runs it (net/ipv4/inet_diag.c): yes where it ends exactly at the end. */
function accepts(filter: Buffer, to: Place): boolean {
  let at = 0;
  while (at < filter.length) {
    const [code, yes, no] = [filter[at], filter[at + 1] ?? 0, filter.readUInt16LE(at + 2)];
    if (code === 1) {
      at += no;
      continue;
    }
    assert.equal(code, 8);
    const [family, bits] = [filter[at + 4], filter[at + 5] ?? 0];
    const address = Buffer.from(filter.subarray(at + 12, at + 12 + bits / 8));
    const holds =
      filter.readInt32LE(at + 8) === to.port &&
      family === (to.address.includes(':') ? AF_INET6 : AF_INET) &&
      address.toString('hex') === hexOf(to.address);
    at += holds ? yes : no;
  }
  return at === filter.length;
}

const hexOf = (address: string): string =>
  address.includes(':')
    ? `fd0000000000000000000000000000${Number(address.slice(-2).replace(':', '')).toString(16).padStart(2, '0')}`
    : Buffer.from(address.split('.').map(Number)).toString('hex');

describe('inet_diag', () => {
  it('filters by destination: each of them and nothing else', () => {
    const places = [place('10.0.0.1', 80), place('fd00::1', 80), place('10.0.0.2', 81), place('fd00::2', 82)];
    for (let count = 1; count <= places.length; count += 1) {
      const [message] = messagesOf(connectionsTo(AF_INET, 'TCP', places.slice(0, count)));
      const filter = message?.body.subarray(4 + 52 + 4) ?? Buffer.alloc(0);
      for (const [i, each] of places.entries()) assert.equal(accepts(filter, each), i < count, `${count} ${i}`);
      assert.ok(!accepts(filter, place('10.0.0.1', 81)));
    }
  });

  it('keeps jumps within 16 bits', () => {
    const places = Array.from({ length: MOST_DESTINATIONS }, (_, i) => place(`fd00::${i + 1}`, 80));
    assert.ok(connectionsTo(AF_INET6, 'TCP', places).length < 65_536);
  });

  it('reads what a socket is connected to, and asks for that very socket to be closed', () => {
    const body = Buffer.alloc(72);
    body[0] = AF_INET6;
    body.write('1f40' + '0050', 4, 'hex');
    body.write('00000000000000000000ffff0a000001', 4 + 20, 'hex');
    body.writeBigUInt64LE(0x1_0000_0002n, 4 + 40);
    const connection = connectionOf({ type: 20, sequence: 1, body }, 'TCP');
    assert.ok(connection);
    assert.deepEqual([placeId(connection), connection.cookie], ['10.0.0.1 80 TCP', 0x1_0000_0002n]);
    const [request] = messagesOf(destroy(connection));
    assert.deepEqual([request?.type, request?.body[0], request?.body[1]], [21, AF_INET6, 6]);
    assert.ok(request?.body.subarray(8).equals(body.subarray(4, 52)));
    assert.equal(connectionOf({ type: 3, sequence: 1, body }, 'TCP'), undefined);
    assert.equal(connectionOf({ type: 20, sequence: 1, body: body.subarray(0, 20) }, 'TCP'), undefined);
  });

  it('has one mark for sockets that are not eight million apart, and never the one for none', () => {
    const around = 64n * 131_072n;
    for (const cookie of [0n, 1n, 63n, 64n, around - 1n, around, 254n * around, 255n * around]) {
      const { line, at, mark } = markOf(cookie);
      assert.ok(line < 131_072 && at < 64 && mark > 0 && mark < 256);
      const next = markOf(cookie + around);
      assert.deepEqual([next.line, next.at], [line, at]);
      assert.notEqual(next.mark, mark);
      assert.notDeepEqual(markOf(cookie + 1n), markOf(cookie));
    }
  });
});
