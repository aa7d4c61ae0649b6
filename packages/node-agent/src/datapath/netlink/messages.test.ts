import assert from 'node:assert/strict';
import {
  ACK,
  attribute,
  attributeOf,
  attributesOf,
  batch,
  ERROR,
  errnoOf,
  message,
  messagesOf,
  nested,
  nfAttributesOf,
} from './messages.ts';

describe('netlink messages', () => {
  it('pad attributes to whole words, and tell their true length', () => {
    assert.equal(attribute(5, 'abcd').toString('hex'), '09000500' + '61626364' + '00000000');
    assert.equal(attribute(3, 0x01020304).toString('hex'), '08000300' + '01020304');
    assert.equal(attribute(3, -4).toString('hex'), '08000300' + 'fffffffc');
    assert.equal(nested(2, attribute(1, Buffer.from([7]))).toString('hex'), '0c000280' + '05000100' + '07000000');
  });

  it('have a header in host order, and attributes that are found again', () => {
    const bytes = message(0xa09, 0x400, 2, attribute(1, 'table'), nested(9, attribute(1, 5)));
    assert.equal(
      bytes.subarray(0, 20).toString('hex'),
      '2c000000' + '090a' + '0104' + '00000000' + '00000000' + '02000000',
    );
    const [one] = messagesOf(bytes);
    assert.ok(one);
    assert.deepEqual(
      [...nfAttributesOf(one)].map(({ type }) => type),
      [1, 9],
    );
    assert.equal(attributeOf(one.body.subarray(4), 1)?.toString('latin1'), 'table\0');
    assert.equal(attributeOf(one.body.subarray(4), 7), undefined);
  });

  it('make a transaction: begin, all in order with numbers in a row, the last one acknowledged, end', () => {
    const parts = [message(0xa00, 0, 2, attribute(1, 'odd')), message(0xa02, 0, 2)];
    const whole = batch(10, parts, 7);
    assert.deepEqual(
      [...messagesOf(whole)].map(({ type, sequence }) => [type, sequence]),
      [
        [16, 7],
        [0xa00, 8],
        [0xa02, 9],
        [17, 0],
      ],
    );
    const flags = (at: number): number => whole.readUInt16LE(at + 6);
    assert.deepEqual([flags(0) & ACK, flags(20) & ACK, flags(20 + (parts[0]?.length ?? 0)) & ACK], [0, 0, ACK]);
    assert.equal(whole.readUInt16BE(18), 10);
  });

  it('are taken apart as far as they are whole', () => {
    const error = Buffer.alloc(20);
    error.writeUInt32LE(20, 0);
    error.writeUInt16LE(ERROR, 4);
    error.writeInt32LE(-2, 16);
    const both = Buffer.concat([message(0x101, 0, 2), error]);
    assert.deepEqual(
      [...messagesOf(both)].map(({ type }) => type),
      [0x101, ERROR],
    );
    assert.deepEqual([...messagesOf(error)].map(errnoOf), [2]);
    for (let length = 0; length < both.length; length += 1) {
      assert.ok([...messagesOf(both.subarray(0, length))].length < 2);
    }
    const attributes = attribute(1, 'long enough');
    for (let length = 0; length < attributes.length - 1; length += 1) {
      assert.deepEqual([...attributesOf(attributes.subarray(0, length))], []);
    }
    // A length of nothing must not be read for ever.
    assert.deepEqual([...messagesOf(Buffer.alloc(64))], []);
    assert.deepEqual([...attributesOf(Buffer.alloc(64))], []);
  });
});
