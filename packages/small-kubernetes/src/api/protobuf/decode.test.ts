import assert from 'node:assert/strict';
import { decodeProtobufObject } from './decode.ts';

/** A message from [field number, value] pairs: text, bytes and nested messages by length, numbers as varints. */
function message(...fields: readonly (readonly [number, string | number | Buffer])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([number, value]) => {
      if (typeof value === 'number') return [Buffer.from([number * 8]), varint(value)];
      const bytes = Buffer.from(value);
      return [varint(number * 8 + 2), varint(bytes.length), bytes];
    }),
  );
}

function varint(value: number): Buffer {
  return value < 128
    ? Buffer.from([value])
    : Buffer.concat([Buffer.from([(value % 128) + 128]), varint(Math.floor(value / 128))]);
}

const envelope = (apiVersion: string, kind: string, raw: Buffer) =>
  Buffer.concat([Buffer.from('k8s\0'), message([1, message([1, apiVersion], [2, kind])], [2, raw])]);

describe('decodeProtobufObject()', () => {
  it('reads texts, maps, lists, numbers and either kind of target port', () => {
    const port = (name: string, number: number, target: Buffer) => message([1, name], [3, number], [4, target], [5, 0]);
    const spec = message(
      [1, port('a', 80, message([1, 0], [2, 8080], [3, '']))],
      [1, port('b', 443, message([1, 1], [2, 0], [3, 'https']))],
      [2, message([1, 'app'], [2, 'web'])],
      [2, message([1, 'tier'], [2, 'front'])],
      [3, ''],
      [13, 0],
    );
    const body = envelope(
      'v1',
      'Service',
      message([1, message([1, 'web'], [8, ''])], [2, spec], [3, message([1, ''])]),
    );
    assert.deepEqual(decodeProtobufObject(body), {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: {
        ports: [
          { name: 'a', port: 80, targetPort: 8080 },
          { name: 'b', port: 443, targetPort: 'https' },
        ],
        selector: { app: 'web', tier: 'front' },
      },
      status: { loadBalancer: {} },
    });
  });

  it('keeps a zero that was asked for: replicas 0', () => {
    const body = envelope('apps/v1', 'Deployment', message([2, message([1, 0])]));
    assert.deepEqual(decodeProtobufObject(body)['spec'], { replicas: 0 });
  });

  it('writes bytes as base64', () => {
    const body = envelope('v1', 'Secret', message([2, message([1, 'k'], [2, 'v'])]));
    assert.deepEqual(decodeProtobufObject(body)['data'], { k: Buffer.from('v').toString('base64') });
  });

  it('refuses kinds and fields that it does not know, and what is cut off', () => {
    assert.throws(
      () => decodeProtobufObject(envelope('v1', 'Node', Buffer.alloc(0))),
      /does not read Node as protobuf/,
    );
    assert.throws(() => decodeProtobufObject(envelope('v1', 'ConfigMap', message([9, 'x']))), /field 9 of ConfigMap/);
    assert.throws(
      () => decodeProtobufObject(envelope('v1', 'ConfigMap', message([1, 'abc']).subarray(0, 3))),
      /cut off/,
    );
    assert.throws(() => decodeProtobufObject(Buffer.from('{}')), /protobuf envelope/);
  });
});
