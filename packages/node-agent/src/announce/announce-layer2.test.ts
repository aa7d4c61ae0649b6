import assert from 'node:assert/strict';
import type { KubernetesNode } from '@tombolo/shared/kubernetes/node-object.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import { layer2Node } from './announce-layer2.ts';

const node = (fields: Partial<KubernetesNode>): KubernetesNode => ({
  ...{ name: 'n2', zone: '', addresses: [], podCidrs: [], typedAddresses: [], labels: { rack: '1' }, bootId: '' },
  ...{ leaving: false, excludedFromLoadBalancers: false, uid: '', unreachable: false },
  ...fields,
});
const both = [
  { type: 'ExternalIP' as const, address: ip('203.0.113.2') },
  { type: 'InternalIP' as const, address: ip('fd00::2') },
  { type: 'InternalIP' as const, address: ip('10.0.0.2') },
];

describe('a node, as layer 2 knows it', () => {
  it('is told at an address of our own family, whichever it lists first', () => {
    assert.equal(layer2Node(node({ typedAddresses: both }), 4).address, '10.0.0.2');
    assert.equal(layer2Node(node({ typedAddresses: both }), 6).address, 'fd00::2');
    assert.equal(layer2Node(node({ typedAddresses: both.slice(0, 1) }), 4).address, '203.0.113.2');
    assert.equal(layer2Node(node({ typedAddresses: both.slice(0, 1) }), 6).address, undefined);
  });

  it('gets nothing from outside while it is excluded, or about to go', () => {
    assert.equal(layer2Node(node({}), 4).isExcluded, false);
    assert.equal(layer2Node(node({ leaving: true }), 4).isExcluded, true);
    assert.equal(layer2Node(node({ excludedFromLoadBalancers: true }), 4).isExcluded, true);
  });
});
