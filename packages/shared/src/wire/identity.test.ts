import assert from 'node:assert/strict';
import type { MaxClusters } from '../model/cluster.ts';
import { decodeIdentity, encodeIdentity, identityRange } from './identity.ts';

const text = 'k8s:app=cart;k8s:io.cilium.k8s.policy.cluster=east;k8s:io.kubernetes.pod.namespace=shop;';
const expect = (suffix: string) => ({ cluster: 'east', clusterId: 1, maxClusters: 255 as const, suffix });

describe('decodeIdentity()', () => {
  it('keeps the labels byte for byte', () => {
    const decoded = decodeIdentity(text, expect('65999'));
    assert.ok(decoded.ok);
    assert.equal(decoded.value.id, 65999);
    assert.deepEqual(decoded.value.labels[0], { source: 'k8s', key: 'app', value: 'cart' });
    assert.equal(encodeIdentity(decoded.value), text);
  });

  it('encodeIdentity() sorts the labels by key', () => {
    const labels = ['b', 'a.b', 'a'].map((key) => ({ source: 'k8s', key, value: '' }));
    assert.equal(encodeIdentity({ id: 1, labels }), 'k8s:a=;k8s:a.b=;k8s:b=;');
  });

  const ranges: readonly [number, MaxClusters, number, number][] = [
    [1, 255, 65536, 131071],
    [3, 255, 196608, 262143],
    [255, 255, 16711680, 16777215],
    [1, 511, 32768, 65535],
    [511, 511, 16744448, 16777215],
  ];
  for (const [id, max, first, last] of ranges) {
    it(`identityRange() of cluster ${id} in a mesh of ${max} is ${first}-${last}`, () => {
      assert.deepEqual(identityRange(id, max), { first, last });
    });
  }

  const refused: readonly [string, string, string][] = [
    [text, '131072', 'id must be 65536-131071: current value is "131072"'],
    [text, '065999', 'id must be 65536-131071: current value is "065999"'],
    [text, '65999x', 'id must be 65536-131071: current value is "65999x"'],
    [
      text.slice(0, -1),
      '65999',
      'labels must end in \';\': current value is "ium.k8s.policy.cluster=east;k8s:io.kubernetes.pod.namespace=shop"',
    ],
    ['', '65999', 'labels must end in \';\': current value is ""'],
    ['k8s:app=cart;', '65999', 'label k8s:io.cilium.k8s.policy.cluster must be "east": current value is absent'],
    [
      'k8s:io.cilium.k8s.policy.cluster=west;',
      '65999',
      'label k8s:io.cilium.k8s.policy.cluster must be "east": current value is "k8s:io.cilium.k8s.policy.cluster=west"',
    ],
    [
      'any:io.cilium.k8s.policy.cluster=east;',
      '65999',
      'label k8s:io.cilium.k8s.policy.cluster must be "east": current value is "any:io.cilium.k8s.policy.cluster=east"',
    ],
    ['k8s:a=1;k8s:a=2;', '65999', 'label must be given once: "a" is given twice'],
    ['junk;', '65999', 'label must be source:key=value: current value is "junk"'],
  ];
  for (const [value, suffix, reason] of refused) {
    it(`refuses ${value} under ${suffix}`, () => {
      const decoded = decodeIdentity(value, expect(suffix));
      assert.ok(!decoded.ok);
      assert.equal(decoded.error, `Cannot decode identity "${suffix}" from cluster "east": ${reason}`);
    });
  }
});
