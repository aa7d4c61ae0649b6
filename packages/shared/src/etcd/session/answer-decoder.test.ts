import assert from 'node:assert/strict';
import { credentials } from '@grpc/grpc-js';
import { Host } from 'etcd3/lib/connection-pool.js';
import fc from 'fast-check';
import { decodeRangeAnswer, decodeWatchAnswer } from './answer-decoder.ts';

/** etcd3's own codecs, made by protobufjs from etcd's definitions. */
function codecOf(service: 'KV' | 'Watch', method: string) {
  const host = new Host('127.0.0.1:1', credentials.createInsecure(), {});
  const { responseSerialize, responseDeserialize } = Reflect.get(host.getServiceClient(service), method);
  host.close();
  return {
    encode: (message: object): Buffer => responseSerialize(message),
    decode: (bytes: Buffer) => responseDeserialize(bytes),
  };
}

const bytes = fc.uint8Array({ maxLength: 40 }).map((content) => Buffer.from(content));
const int64 = fc
  .oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: 0n, max: 2n ** 50n }), fc.constant(0n))
  .map(String);
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
const header = fc.record({ cluster_id: uint64, member_id: uint64, revision: int64, raft_term: uint64 });
const kv = fc.record({
  key: bytes,
  value: bytes,
  create_revision: int64,
  mod_revision: int64,
  version: int64,
  lease: int64,
});

const usedOfHeader = ({ cluster_id, revision }: { cluster_id: string; revision: string }) => ({ cluster_id, revision });
const usedOf = (entry: Record<'key' | 'value' | 'create_revision' | 'mod_revision' | 'lease', unknown>) => ({
  key: entry.key,
  value: entry.value,
  create_revision: entry.create_revision,
  mod_revision: entry.mod_revision,
  lease: entry.lease,
});

describe('decodeRangeAnswer()', () => {
  const codec = codecOf('KV', 'range');

  it('decodeRangeAnswer() reads what protobufjs reads', () => {
    const answers = fc.record({ header, kvs: fc.array(kv, { maxLength: 5 }), more: fc.boolean(), count: int64 });
    fc.assert(
      fc.property(answers, (answer) => {
        const message = codec.encode(answer);
        const expected = codec.decode(message);
        assert.deepEqual(decodeRangeAnswer(message), {
          header: usedOfHeader(expected.header),
          kvs: expected.kvs.map(usedOf),
          more: expected.more,
        });
      }),
    );
  });

  it('decodeRangeAnswer() of nothing is an answer without keys', () => {
    assert.deepEqual(decodeRangeAnswer(Buffer.alloc(0)), {
      header: { cluster_id: '0', revision: '0' },
      kvs: [],
      more: false,
    });
  });

  it('decodeRangeAnswer() throws on each message that is cut short within a field', () => {
    const whole = codec.encode({ kvs: [{ key: Buffer.from('key'), value: Buffer.from('value'), lease: '-1' }] });
    for (let length = 1; length < whole.length; length++) {
      assert.throws(() => decodeRangeAnswer(whole.subarray(0, length)), /malformed/, `${length} bytes`);
    }
  });

  it('decodeRangeAnswer() ends, with an answer or an error, whatever it is given', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (content) => {
        try {
          decodeRangeAnswer(Buffer.from(content));
        } catch (error) {
          assert.match(String(error), /malformed/);
        }
      }),
    );
  });

  it('decodeRangeAnswer() skips fields that are not known yet', () => {
    const unknown = Buffer.from([0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7d, 1, 2, 3, 4, 0x7a, 2, 9, 9, 0x78, 0xff, 1]);
    const message = Buffer.concat([unknown, codec.encode({ more: true }), unknown]);
    assert.equal(decodeRangeAnswer(message).more, true);
  });

  it('decodeRangeAnswer() throws when an entry is longer than it says', () => {
    const message = codec.encode({ kvs: [{ key: Buffer.from('key'), value: Buffer.from('value') }] });
    const shorter = Buffer.from(message);
    shorter.writeUInt8(message.readUInt8(1) - 1, 1);
    assert.throws(() => decodeRangeAnswer(shorter), /malformed/);
  });

  it('decodeRangeAnswer() copies neither keys nor values', () => {
    const message = codec.encode({ kvs: [{ key: Buffer.from('key'), value: Buffer.from('value') }] });
    const entry = decodeRangeAnswer(message).kvs[0];
    assert.equal(entry?.key.buffer, message.buffer);
    assert.equal(entry?.value.buffer, message.buffer);
  });
});

describe('decodeWatchAnswer()', () => {
  const codec = codecOf('Watch', 'watch');

  it('decodeWatchAnswer() reads what protobufjs reads', () => {
    const event = fc.record({ type: fc.constantFrom('Put', 'Delete'), kv, prev_kv: fc.option(kv, { nil: undefined }) });
    const answers = fc.record({
      header,
      watch_id: int64,
      created: fc.boolean(),
      canceled: fc.boolean(),
      compact_revision: int64,
      cancel_reason: fc.string({ unit: 'grapheme' }),
      fragment: fc.boolean(),
      events: fc.array(event, { maxLength: 4 }),
    });
    fc.assert(
      fc.property(answers, (answer) => {
        const message = codec.encode(answer);
        const { created, canceled, compact_revision, cancel_reason, ...expected } = codec.decode(message);
        assert.deepEqual(decodeWatchAnswer(message), {
          header: usedOfHeader(expected.header),
          created,
          canceled,
          compact_revision,
          cancel_reason,
          events: expected.events.map((each: { type: string; kv: Parameters<typeof usedOf>[0] }) => ({
            type: each.type,
            kv: usedOf(each.kv),
          })),
        });
      }),
    );
  });

  it('decodeWatchAnswer() throws on each message that is cut short within a field', () => {
    const whole = codec.encode({ events: [{ type: 'Delete', kv: { key: Buffer.from('key'), mod_revision: '5' } }] });
    for (let length = 1; length < whole.length; length++) {
      assert.throws(() => decodeWatchAnswer(whole.subarray(0, length)), /malformed/, `${length} bytes`);
    }
  });
});
