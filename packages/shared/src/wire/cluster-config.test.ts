import assert from 'node:assert/strict';
import { type ClusterConfigExpectations, decodeClusterConfig, encodeClusterConfig } from './cluster-config.ts';

const expected: ClusterConfigExpectations = { cluster: 'west', maxClusters: 255 };

describe('decodeClusterConfig()', () => {
  const same = [
    '{"id":1,"capabilities":{"syncedCanaries":true,"maxConnectedClusters":255,"serviceExportsEnabled":false,"endpointSlicesExportMode":"services-and-endpointslices"}}',
    '{"id":1,"capabilities":{"syncedCanaries":true,"cached":true,"maxConnectedClusters":255,"serviceExportsEnabled":true,"endpointSlicesExportMode":"endpointslices-only"}}',
    '{"id":3,"capabilities":{"syncedCanaries":true,"maxConnectedClusters":255,"serviceExportsEnabled":false}}',
    '{"id":255,"capabilities":{}}',
  ];
  for (const value of same) {
    it(`keeps ${value}`, () => {
      const decoded = decodeClusterConfig(value, expected);
      assert.ok(decoded.ok, decoded.ok ? '' : decoded.error);
      assert.equal(encodeClusterConfig(decoded.value), value);
    });
  }

  const refused: readonly [string, ClusterConfigExpectations, string][] = [
    ['{}', expected, 'id must be 1-255: current value is 0'],
    ['{"id":256}', expected, 'id must be 1-255: current value is 256'],
    [
      '{"id":512,"capabilities":{"maxConnectedClusters":511}}',
      { ...expected, maxClusters: 511 },
      'id must be 1-511: current value is 512',
    ],
    [
      '{"id":3,"capabilities":{"maxConnectedClusters":255}}',
      { ...expected, maxClusters: 511 },
      'capabilities.maxConnectedClusters must be 511 as here: current value is 255',
    ],
    [
      '{"id":3,"capabilities":{"endpointSlicesExportMode":"new"}}',
      expected,
      'capabilities.endpointSlicesExportMode must be one of "", "services-and-endpointslices", "endpointslices-only": current value is "new"',
    ],
    ['{"id":"3"}', expected, 'id must be an integer 0-4294967295: current value is "3"'],
    ['null', expected, 'id must be 1-255: current value is 0'],
  ];
  for (const [value, expectations, reason] of refused) {
    it(`refuses ${value} in a mesh of ${expectations.maxClusters}`, () => {
      const decoded = decodeClusterConfig(value, expectations);
      assert.deepEqual(decoded, {
        ok: false,
        error: `Cannot decode cluster configuration "west" from cluster "west": ${reason}`,
      });
    });
  }

  it('does not compare the sizes of meshes when ours has 255', () => {
    assert.ok(decodeClusterConfig('{"id":3,"capabilities":{"maxConnectedClusters":511}}', expected).ok);
  });
});
