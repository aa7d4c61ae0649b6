import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { bitReader, bitsOf, decodeHeartbeat, encodeHeartbeat, type Heartbeat } from './heartbeat.ts';

const KEY = Buffer.from('known to the agents of a cluster');

const heartbeat: Heartbeat = {
  ...{ from: 'a', to: 'b', boot: '0123456789abcdef', echo: '', sequence: 7, isReady: true, nodes: 'fedcba9876543210' },
  ...{ links: [{ name: 'eth0', mac: '02:00:5e:00:53:01' }], hears: 'AQ==', hearsReady: '' },
};

describe('heartbeats', () => {
  it('are read as they were written', () => {
    assert.deepEqual(decodeHeartbeat(encodeHeartbeat(heartbeat, KEY), KEY), {
      ok: true,
      value: { version: 1, ...heartbeat },
    });
  });

  it('count for nothing with another key, or with any byte changed', () => {
    const datagram = encodeHeartbeat(heartbeat, KEY);
    assert.match(JSON.stringify(decodeHeartbeat(datagram, Buffer.from('another key'))), /the key differs/);
    fc.assert(
      fc.property(fc.nat(datagram.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = Buffer.from(datagram);
        changed[at] = (changed[at] ?? 0) ^ change;
        assert.equal(decodeHeartbeat(changed, KEY).ok, false);
      }),
    );
  });

  it('count for nothing where a part is missing', () => {
    const datagram = encodeHeartbeat(heartbeat, KEY);
    for (let length = 0; length < datagram.length; length++)
      assert.equal(decodeHeartbeat(datagram.subarray(0, length), KEY).ok, false);
  });

  it('never make anything be thrown, though they have the key', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        const body = Buffer.from(text);
        const mac = createHmac('sha256', KEY).update(body).digest();
        assert.equal(decodeHeartbeat(Buffer.concat([mac, body]), KEY).ok, false);
      }),
    );
  });

  it('whatever comes, nothing is thrown, and nothing counts', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        assert.equal(decodeHeartbeat(Buffer.from(bytes), KEY).ok, false);
      }),
    );
  });

  it('are refused where a field is missing or is not what it should be, though they have the key', () => {
    const wrongs: readonly object[] = [
      ...Object.keys(heartbeat).map((field) => ({ [field]: undefined })),
      ...[{ sequence: '7' }, { sequence: 1.5 }, { isReady: 1 }, { from: 3 }, { hears: 'x'.repeat(701) }],
      ...[{ links: 'eth0' }, { links: [null] }, { links: [{ name: 'eth0', mac: '02:00' }] }],
    ];
    for (const wrong of wrongs) {
      const links: unknown = 'links' in wrong ? wrong.links : heartbeat.links;
      if (!Array.isArray(links)) continue;
      const sent = encodeHeartbeat({ ...heartbeat, ...wrong, links } as Heartbeat, KEY);
      assert.equal(decodeHeartbeat(sent, KEY).ok, false, JSON.stringify(wrong));
    }
  });

  it('are one datagram in a cluster of any size; in one of thousands of nodes without whom they hear', () => {
    const all = (count: number): string =>
      bitsOf(
        Array.from({ length: count }, (_, i) => `node-${i}`),
        () => true,
      );
    const links = Array.from({ length: 40 }, (_, i) => ({ name: `interface-${i}`, mac: '02:00:5e:00:53:01' }));
    const name = 'n'.repeat(63);
    const heard = (count: number, each: Heartbeat['links']): string => {
      const [hears, hearsReady] = [all(count), all(count)];
      const sent = encodeHeartbeat({ ...heartbeat, from: name, to: name, links: each, hears, hearsReady }, KEY);
      const decoded = decodeHeartbeat(sent, KEY);
      assert.ok(decoded.ok, `${count} nodes`);
      return decoded.value.hears;
    };
    assert.notEqual(heard(1_000, links), '');
    assert.equal(heard(5_000, links), '');
    // An interface may be called almost anything, by 15 bytes.
    const odd = links.map((link) => ({ ...link, name: '€'.repeat(5) }));
    for (let count = 0; count < 2_000; count += 20) heard(count, odd);
  });

  it('tell names by bits', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { maxLength: 40 }), fc.func(fc.boolean()), (names, has) => {
        const isSet = bitReader(bitsOf(names, has));
        assert.deepEqual(
          names.filter((_, i) => isSet(i)),
          names.filter((name) => has(name)),
        );
        assert.equal(isSet(names.length + 8), false);
      }),
    );
  });
});
