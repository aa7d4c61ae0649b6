import assert from 'node:assert/strict';
import { addressAt } from '../model/address-range.ts';
import { convertCiliumPool, convertMetallbPool } from './address-pool-objects.ts';
import type { Conversion } from './conversion.ts';

const object = (spec: object, annotations: object = {}) => ({ metadata: { name: 'p', annotations }, spec });
const warnings = (converted: Conversion<unknown>): readonly string[] =>
  converted.kind === 'value' ? converted.warnings : assert.fail(JSON.stringify(converted));

describe('pools', () => {
  it('tell of fields that mean nothing here, wherever they are', () => {
    const cilium = {
      blocks: [{ cidr: '192.0.2.0/24', vrf: 'red' }],
      serviceSelector: { matchLabels: {}, matchFields: [] },
      vlan: 7,
    };
    assert.deepEqual(warnings(convertCiliumPool(object(cilium))), [
      'spec.vlan counts for nothing: expected blocks, allowFirstLastIPs, disabled, serviceSelector',
      'spec.blocks[0].vrf counts for nothing: expected cidr, start, stop',
      'spec.serviceSelector.matchFields counts for nothing: expected matchLabels, matchExpressions',
    ]);
    const metallb = {
      ...{ addresses: ['192.0.2.0/24'], protocol: 'layer2' },
      serviceAllocation: { tenants: [], namespaceSelectors: [{ names: [] }] },
    };
    assert.deepEqual(warnings(convertMetallbPool(object(metallb))), [
      'spec.protocol counts for nothing: expected addresses, autoAssign, avoidBuggyIPs, serviceAllocation',
      'spec.serviceAllocation.tenants counts for nothing: expected priority, namespaces, namespaceSelectors, serviceSelectors',
      'spec.serviceAllocation.namespaceSelectors[0].names counts for nothing: expected matchLabels, matchExpressions',
    ]);
  });

  it('of MetalLB take prefixes with host bits, as MetalLB does, and no bare address', () => {
    const converted = convertMetallbPool(object({ addresses: ['192.0.2.77/30', '192.0.2.9'] }));
    assert(converted.kind === 'value');
    assert.deepEqual(
      converted.value.ranges.map(({ family, first, last }) => [addressAt(family, first), addressAt(family, last)]),
      [['192.0.2.76', '192.0.2.79']],
    );
    assert.match(`${converted.warnings}`, /^spec\.addresses\[1\] left out: [^,]*$/);
  });

  it('of Cilium have blocks whose cidr counts before start and stop', () => {
    const converted = convertCiliumPool(object({ blocks: [{ cidr: '192.0.2.9/31', start: '198.51.100.1' }] }));
    assert(converted.kind === 'value');
    assert.deepEqual(
      converted.value.ranges.map(({ family, first }) => addressAt(family, first)),
      ['192.0.2.8'],
    );
  });

  it('that several clusters share give out this cluster’s part of each range', () => {
    const ranges = (share: string) => {
      const spec = { blocks: [{ cidr: '192.0.2.0/28' }, { start: '192.0.2.100' }], allowFirstLastIPs: 'No' };
      const converted = convertCiliumPool(object(spec, { 'lb.tombolo.io/cluster-share': share }));
      assert(converted.kind === 'value');
      return converted.value.ranges.map(({ first, last }) => `${addressAt(4, first)}-${addressAt(4, last)}`);
    };
    assert.deepEqual(ranges('1/2'), ['192.0.2.1-192.0.2.7']);
    assert.deepEqual(ranges(' 2/2 '), ['192.0.2.8-192.0.2.14', '192.0.2.100-192.0.2.100']);
    assert.deepEqual(ranges('1/1'), ['192.0.2.1-192.0.2.14', '192.0.2.100-192.0.2.100']);
  });

  for (const share of ['', '0/2', '3/2', '1/0', '-1/2', '1', '1/2/3', 'one/two', '1.5/2', '1e1/20', '2/1'])
    it(`with the share ${JSON.stringify(share)} are refused as a whole`, () => {
      const converted = convertMetallbPool(
        object({ addresses: ['192.0.2.0/24'] }, { 'lb.tombolo.io/cluster-share': share }),
      );
      assert(converted.kind === 'refused');
      assert.match(
        converted.reason,
        /^metadata\.annotations\["lb\.tombolo\.io\/cluster-share"\] must be a part such as /,
      );
    });
});
