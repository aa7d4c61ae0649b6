import assert from 'node:assert/strict';
import { fitsInterface, isAdvertised, isNodeSelected, preferenceFor } from '../model/l2-advertisement.ts';
import { serviceKey } from '../model/service.ts';
import { convertL2Advertisement, convertL2Policy } from './l2-advertisement-objects.ts';

const metadata = { name: 'lan', namespace: 'metallb-system' };

function advertisement(spec: object, convert = convertL2Advertisement) {
  const conversion = convert({ metadata, spec });
  assert.equal(conversion.kind, 'value');
  return conversion.value;
}

const address = (fields: object = {}) => ({
  ...{ service: serviceKey('shop', 'cart'), labels: { color: 'blue' }, kind: 'LoadBalancer' },
  pools: [{ product: 'metallb' as const, name: 'lan', labels: { tier: 'front' } }],
  ...fields,
});

describe('MetalLB’s L2Advertisement', () => {
  it('announces all addresses of all its pools, from all nodes, at all interfaces, if it says nothing', () => {
    const all = advertisement({});
    assert.ok(isAdvertised(all, address()));
    assert.ok(!isAdvertised(all, address({ pools: [] })));
    assert.ok(!isAdvertised(all, address({ pools: [{ product: 'cilium', name: 'lan', labels: {} }] })));
    assert.ok(!isAdvertised(all, address({ kind: 'ExternalIP' })));
    assert.ok(isNodeSelected(all, {}) && fitsInterface(all, 'eth7'));
  });

  it('names pools, or selects them: either will do', () => {
    const some = advertisement({
      ipAddressPools: ['wan'],
      ipAddressPoolSelectors: [{ matchLabels: { tier: 'front' } }],
    });
    assert.ok(isAdvertised(some, address()));
    assert.ok(!isAdvertised(advertisement({ ipAddressPools: ['wan'] }), address()));
    assert.ok(isAdvertised(advertisement({ ipAddressPools: ['wan', 'lan'] }), address()));
  });

  it('selects Services and nodes by any of its selectors, and prefers by all', () => {
    const some = advertisement({
      serviceSelectors: [{ matchLabels: { color: 'red' } }, { matchLabels: { color: 'blue' } }],
      nodeSelectors: [{ matchExpressions: [{ key: 'rack', operator: 'Exists' }] }],
      preferredNodeSelectors: [
        { weight: 5, preference: { matchLabels: { rack: '1' } } },
        { weight: 7, preference: { matchExpressions: [{ key: 'rack', operator: 'Exists' }] } },
      ],
    });
    assert.ok(isAdvertised(some, address()));
    assert.ok(!isAdvertised(some, address({ labels: {} })));
    assert.deepEqual([isNodeSelected(some, { rack: '1' }), isNodeSelected(some, {})], [true, false]);
    assert.deepEqual([preferenceFor(some, { rack: '1' }), preferenceFor(some, { rack: '2' })], [12, 7]);
  });

  it('names interfaces exactly', () => {
    const some = advertisement({ interfaces: ['eth0'] });
    assert.deepEqual([fitsInterface(some, 'eth0'), fitsInterface(some, 'veth0')], [true, false]);
  });

  it('is refused as a whole where a part cannot be read', () => {
    const wrongs: readonly [object, RegExp][] = [
      [{ interfaces: [7] }, /spec\.interfaces\[0\] must be a name: current value is 7/],
      [{ ipAddressPools: [''] }, /spec\.ipAddressPools\[0\] must be a name/],
      [{ nodeSelectors: [{ matchExpressions: [{ key: 'a', operator: 'Like' }] }] }, /operator must be In, NotIn/],
      [{ preferredNodeSelectors: [{ weight: 0, preference: {} }] }, /weight must be 1-100: current value is 0/],
    ];
    for (const [spec, reason] of wrongs) {
      const conversion = convertL2Advertisement({ metadata, spec });
      assert.equal(conversion.kind, 'refused');
      assert.match(conversion.reason, reason);
    }
  });
});

describe('Cilium’s CiliumL2AnnouncementPolicy', () => {
  const policy = (spec: object) => advertisement(spec, convertL2Policy);

  it('announces nothing if it says nothing, and says so', () => {
    const conversion = convertL2Policy({ metadata, spec: {} });
    assert.equal(conversion.kind, 'value');
    assert.match(conversion.warnings.join(), /announces nothing/);
    assert.ok(!isAdvertised(conversion.value, address()));
  });

  it('announces addresses of any pool or of none, and externalIPs apart', () => {
    assert.ok(isAdvertised(policy({ loadBalancerIPs: true }), address({ pools: [] })));
    assert.ok(!isAdvertised(policy({ loadBalancerIPs: true }), address({ kind: 'ExternalIP' })));
    assert.ok(isAdvertised(policy({ externalIPs: true }), address({ kind: 'ExternalIP' })));
  });

  it('knows a Service by its namespace and name, whatever its labels say', () => {
    const selects = (labels: object) => policy({ loadBalancerIPs: true, serviceSelector: { matchLabels: labels } });
    const lying = address({ labels: { 'io.kubernetes.service.namespace': 'other' } });
    assert.ok(isAdvertised(selects({ 'io.kubernetes.service.namespace': 'shop' }), lying));
    assert.ok(!isAdvertised(selects({ 'io.kubernetes.service.name': 'web' }), lying));
  });

  it('finds its expressions anywhere in the name of an interface', () => {
    const some = policy({ loadBalancerIPs: true, interfaces: ['eth0', '^en[0-9]'] });
    assert.deepEqual(
      ['eth0', 'veth0', 'en1', 'xen1'].map((name) => fitsInterface(some, name)),
      [true, true, true, false],
    );
    assert.equal(convertL2Policy({ metadata, spec: { interfaces: ['['] } }).kind, 'refused');
  });
});
