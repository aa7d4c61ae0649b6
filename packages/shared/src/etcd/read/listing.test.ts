import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Connection, IKeyValue, IRangeResponse } from '../session/connection.ts';
import { EtcdError } from '../session/errors.ts';
import { type Caller, keyAfter, listPages, prefixRange, smallerPage } from './listing.ts';

interface PageRequest {
  readonly key: Buffer;
  readonly range_end: Buffer;
  readonly limit: number;
  readonly revision: string | number;
}

function entry(key: Buffer, bytes = 1): IKeyValue {
  const value = Buffer.alloc(bytes);
  return { key, value, create_revision: '1', mod_revision: '1', version: '1', lease: '0' };
}

/** A store that answers ranges as etcd does, with a limit on the bytes of one answer. */
class FakeEtcd implements Caller {
  readonly closed = new AbortController().signal;
  readonly requests: PageRequest[] = [];
  readonly #entries: readonly IKeyValue[];
  readonly #maxBytes: number;
  #revision = 7;

  constructor(entries: readonly IKeyValue[], maxBytes = Number.POSITIVE_INFINITY) {
    this.#entries = entries.toSorted((a, b) => a.key.compare(b.key));
    this.#maxBytes = maxBytes;
  }

  async call<T>(_settings: unknown, run: (connection: Connection, options: object) => Promise<T>): Promise<T> {
    const kv = { range: async (request: PageRequest) => this.#range(request) };
    return run({ kv } as unknown as Connection, {});
  }

  #range(request: PageRequest): IRangeResponse {
    this.requests.push(request);
    const zero = Buffer.from([0]);
    const inside = this.#entries.filter(
      ({ key }) =>
        key.compare(request.key) >= 0 && (request.range_end.equals(zero) || key.compare(request.range_end) < 0),
    );
    const kvs = inside.slice(0, request.limit);
    const bytes = kvs.reduce((sum, { value }) => sum + value.length, 0);
    if (bytes > this.#maxBytes) throw new EtcdError('too-large', 'larger than max');
    const header = { cluster_id: '1', member_id: '1', raft_term: '1', revision: String(this.#revision++) };
    return { header, kvs, more: inside.length > kvs.length, count: String(inside.length) };
  }
}

async function keysOf(etcd: FakeEtcd, prefix: string, pageSize: number): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of listPages(etcd, prefix, pageSize)) {
    for (const { key } of page.entries) keys.push(key.toString('latin1'));
  }
  return keys;
}

describe('prefixRange()', () => {
  const cases = [
    { prefix: 'a/', key: 'a/', end: 'a0' },
    { prefix: 'a', key: 'a', end: 'b' },
    { prefix: '', key: '\0', end: '\0' },
  ];
  for (const { prefix, key, end } of cases) {
    it(`prefixRange() of ${JSON.stringify(prefix)} ends at ${JSON.stringify(end)}`, () => {
      assert.deepEqual(prefixRange(prefix), { key: Buffer.from(key), end: Buffer.from(end) });
    });
  }

  it('prefixRange() contains exactly the keys that start with the prefix', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), fc.string({ unit: 'grapheme' }), (prefix, text) => {
        const { key, end } = prefixRange(prefix);
        const probe = Buffer.from(text);
        const inside = probe.compare(key) >= 0 && (end.equals(Buffer.from([0])) || probe.compare(end) < 0);
        assert.equal(inside, probe.subarray(0, key.length).equals(key));
        assert.ok(key.compare(end) < 0);
      }),
    );
  });
});

describe('keyAfter()', () => {
  it('keyAfter() leaves no room for a key between', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        const key = Buffer.from(a);
        const other = Buffer.from(b);
        assert.equal(other.compare(keyAfter(key)) < 0, other.compare(key) <= 0);
      }),
    );
  });
});

describe('listPages()', () => {
  it('listPages() gives every key under the prefix once, in order, whatever the page size', async () => {
    const keys = fc.uniqueArray(fc.string({ unit: fc.constantFrom('a', 'b', '/', '\0', '\u00ff'), maxLength: 4 }));
    await fc.assert(
      fc.asyncProperty(
        keys,
        fc.constantFrom('a', 'a/', 'b', ''),
        fc.integer({ min: 1, max: 5 }),
        async (all, prefix, size) => {
          const entries = all.filter((key) => key !== '').map((key) => entry(Buffer.from(key, 'latin1')));
          const expected = entries
            .map(({ key }) => key)
            .filter((key) => key.subarray(0, prefix.length).equals(Buffer.from(prefix)))
            .toSorted((a, b) => a.compare(b))
            .map((key) => key.toString('latin1'));
          assert.deepEqual(await keysOf(new FakeEtcd(entries), prefix, size), expected);
        },
      ),
    );
  });

  it('listPages() reads all pages at the revision of the first, without an explicit order', async () => {
    const etcd = new FakeEtcd(['a1', 'a2', 'a3'].map((key) => entry(Buffer.from(key))));
    await keysOf(etcd, 'a', 1);
    assert.deepEqual(
      etcd.requests.map(({ revision }) => revision),
      [0, '7', '7'],
    );
    assert.ok(etcd.requests.every((request) => !('sort_order' in request)));
  });

  it('listPages() halves a page that is too large for one message', async () => {
    const entries = Array.from({ length: 10 }, (_, i) => entry(Buffer.from(`a${i}`), 10));
    const etcd = new FakeEtcd(entries, 25);
    assert.equal((await keysOf(etcd, 'a', 8)).length, 10);
    assert.deepEqual([...new Set(etcd.requests.map(({ limit }) => limit))], [8, 4, 2]);
  });

  it('listPages() names the key when a single one is too large', async () => {
    const etcd = new FakeEtcd([entry(Buffer.from('a1'), 30)], 25);
    await assert.rejects(keysOf(etcd, 'a', 8), /Cannot list prefix "a": expected values that fit.*"a"/);
  });
});

describe('smallerPage()', () => {
  it('smallerPage() ends', () => {
    let limit: number | undefined = 256;
    for (let steps = 0; limit !== undefined; steps++) {
      assert.ok(steps < 10);
      limit = smallerPage(limit);
    }
  });
});
