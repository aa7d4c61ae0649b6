import assert from 'node:assert/strict';
import { ProxyHealth } from './proxy-health.ts';

describe('ProxyHealth', () => {
  let now: number;
  let proxy: ProxyHealth;
  beforeEach(() => {
    now = 0;
    proxy = new ProxyHealth(['ebpf', 'nftables'], () => now);
  });
  const both = (revision: number) => {
    for (const half of ['ebpf', 'nftables']) proxy.applied(half, revision, 1000 + now);
  };

  it('is not healthy before every half has had the table once', () => {
    assert.equal(proxy.healthy, false);
    proxy.applied('ebpf', 0, 5);
    assert.equal(proxy.healthy, false);
    proxy.applied('nftables', 0, 6);
    assert.equal(proxy.healthy, true);
    assert.equal(proxy.updatedAt, 6);
  });

  it('is healthy while nothing changes, however long', () => {
    proxy.published(1);
    both(1);
    now = 1e9;
    assert.equal(proxy.healthy, true);
  });

  it('is not healthy when a change has waited for a minute in one half, and is again once that has it', () => {
    both(0);
    now = 1000;
    proxy.published(1);
    proxy.applied('ebpf', 1, 0);
    now = 60_999;
    assert.equal(proxy.healthy, true);
    proxy.published(2);
    now = 61_000;
    assert.equal(proxy.healthy, false);
    proxy.applied('nftables', 2, 0);
    assert.equal(proxy.healthy, true);
  });

  it('is healthy while changes come faster than they are programmed, as long as some are', () => {
    both(0);
    for (let revision = 1; revision < 100; revision++) {
      proxy.published(revision * 2);
      now += 30_000;
      both(revision);
      assert.equal(proxy.healthy, true);
    }
  });

  it('finds the node eligible when it is known and stays', () => {
    assert.equal(proxy.nodeEligible, false);
    proxy.nodeLeaves(false);
    assert.equal(proxy.nodeEligible, true);
    proxy.nodeLeaves(true);
    assert.equal(proxy.nodeEligible, false);
    proxy.nodeLeaves(undefined);
    assert.equal(proxy.nodeEligible, false);
  });
});
