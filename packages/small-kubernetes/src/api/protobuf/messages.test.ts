import assert from 'node:assert/strict';
import type { JsonObject } from '../objects.ts';
import { decodeObject, encodeMessage } from './messages.ts';

const body = (apiVersion: string, kind: string, raw: Buffer) =>
  Buffer.concat([Buffer.from('k8s\0'), encodeMessage('Unknown', { typeMeta: { apiVersion, kind }, raw })]);

const decoded = (kind: string, message: JsonObject) => decodeObject(body('v1', kind, encodeMessage(kind, message)));

describe('decodeObject()', () => {
  it('reads texts, maps, lists and either kind of target port, and leaves out what is empty', () => {
    const spec = {
      ports: [
        { name: 'a', port: 80, targetPort: { type: 0, intVal: 8080, strVal: '' }, nodePort: 0 },
        { name: 'b', port: 443, targetPort: { type: 1, intVal: 0, strVal: 'https' } },
      ],
      selector: { app: 'web' },
      clusterIP: '',
    };
    assert.deepEqual(decoded('Service', { metadata: { name: 'web', creationTimestamp: {} }, spec }), {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: {
        ports: [
          { name: 'a', port: 80, targetPort: 8080 },
          { name: 'b', port: 443, targetPort: 'https' },
        ],
        selector: { app: 'web' },
      },
    });
  });

  it('keeps a zero that was asked for: replicas 0', () => {
    assert.deepEqual(decoded('Deployment', { spec: { replicas: 0 } })['spec'], { replicas: 0 });
  });

  it('writes bytes as base64', () => {
    assert.deepEqual(decoded('Secret', { data: { k: Buffer.from('v') } })['data'], { k: btoa('v') });
  });

  it('refuses kinds and fields that it does not know, and what is cut off', () => {
    const unknown = Buffer.from([9 * 8 + 2, 1, 65]);
    assert.throws(() => decodeObject(body('v1', 'Node', Buffer.alloc(0))), /does not read Node as protobuf/);
    assert.throws(() => decodeObject(body('v1', 'ConfigMap', unknown)), /all fields of this ConfigMap/);
    assert.throws(() => decodeObject(body('v1', 'ConfigMap', unknown.subarray(0, 2))), /Cannot read the body/);
    assert.throws(() => decodeObject(Buffer.from('{}')), /envelope/);
  });
});
