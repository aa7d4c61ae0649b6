import assert from 'node:assert/strict';
import { clusterConfigKey, entryKey, entryPrefix, suffixOf, syncedKey, syncedPrefix } from './keys.ts';

describe('keys', () => {
  const cases: readonly [string, string][] = [
    [clusterConfigKey('east'), 'cilium/cluster-config/east'],
    [entryKey('services', 'state', 'east', 'shop/cart'), 'cilium/state/services/v1/east/shop/cart'],
    [entryKey('services', 'cache', 'east', 'shop/cart'), 'cilium/cache/services/v1/east/shop/cart'],
    [entryKey('nodes', 'state', 'east', 'n1'), 'cilium/state/nodes/v1/east/n1'],
    [entryKey('nodes', 'cache', 'east', 'n1'), 'cilium/cache/nodes/v1/east/n1'],
    [entryKey('ip', 'state', 'east', '10.1.3.17'), 'cilium/state/ip/v1/default/10.1.3.17'],
    [entryKey('ip', 'cache', 'east', '10.1.3.17'), 'cilium/cache/ip/v1/east/10.1.3.17'],
    [entryKey('identities', 'state', 'east', '65999'), 'cilium/state/identities/v1/id/65999'],
    [entryKey('identities', 'cache', 'east', '65999'), 'cilium/cache/identities/v1/east/id/65999'],
    [syncedKey('nodes', 'state', 'east'), 'cilium/synced/east/cilium/state/nodes/v1'],
    [syncedKey('services', 'state', 'east'), 'cilium/synced/east/cilium/state/services/v1'],
    [syncedKey('ip', 'state', 'east'), 'cilium/synced/east/cilium/state/ip/v1'],
    [syncedKey('identities', 'state', 'east'), 'cilium/synced/east/cilium/state/identities/v1'],
    [syncedKey('ip', 'cache', 'east'), 'cilium/synced/east/cilium/cache/ip/v1'],
    [syncedKey('identities', 'cache', 'east'), 'cilium/synced/east/cilium/cache/identities/v1'],
  ];
  for (const [key, expected] of cases) it(`are spelt ${expected}`, () => assert.equal(key, expected));

  it('entryPrefix() and syncedPrefix() of east do not match east-2', () => {
    for (const layout of ['state', 'cache'] as const) {
      const key = entryKey('services', layout, 'east-2', 'a/x');
      assert.equal(suffixOf(key, entryPrefix('services', layout, 'east')), undefined);
    }
    assert.equal(suffixOf(syncedKey('services', 'state', 'east-2'), syncedPrefix('east')), undefined);
  });

  it('suffixOf() gives what follows the prefix, and nothing for the prefix itself', () => {
    const prefix = entryPrefix('services', 'state', 'east');
    assert.equal(suffixOf(`${prefix}a/x`, prefix), 'a/x');
    assert.equal(suffixOf(prefix, prefix), undefined);
  });
});
