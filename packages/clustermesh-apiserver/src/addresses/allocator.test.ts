import assert from 'node:assert/strict';
import type { AddressPool } from '@tombolo/shared/model/address-pool.ts';
import { cidr } from '@tombolo/shared/model/ip.ts';
import { reserve } from '@tombolo/shared/model/reserved-addresses.ts';
import { AddressAllocator, type Outcome } from './allocator.ts';
import { ciliumPool, claim, DUAL, key, metallbPool, type ServiceParts } from './claims.fixture.ts';

describe('AddressAllocator', () => {
  let allocator: AddressAllocator;

  beforeEach(() => {
    allocator = new AddressAllocator();
  });

  const pools = (...all: readonly AddressPool[]): void => allocator.setPools(all);
  const service = (name: string, parts?: ServiceParts): void =>
    allocator.setService(key(name, parts?.namespace), claim(name, parts));
  const told = (outcome: Outcome | undefined): string =>
    outcome === undefined || outcome === 'withdraw'
      ? `${outcome}`
      : [...outcome.addresses, ...(outcome.reason === 'satisfied' ? [] : [outcome.reason])].join(' ');
  /** What changes, by the name of the Service. */
  const settled = (): Readonly<Record<string, string>> =>
    Object.fromEntries([...allocator.settle()].map(([each, outcome]) => [each.split('/')[1], told(outcome)]));

  it('does nothing as long as there is no pool, and then serves the oldest first', () => {
    service('young', { createdAt: '2026-01-03T00:00:00Z' });
    service('old', { createdAt: '2026-01-02T00:00:00Z' });
    assert.deepEqual(settled(), {});
    pools(ciliumPool('blue', { blocks: [{ cidr: '192.0.2.0/31' }] }));
    assert.deepEqual(settled(), { old: '192.0.2.0', young: '192.0.2.1' });
    assert.deepEqual(settled(), {});
  });

  it('lets everybody keep what the status says, before anything is given out', () => {
    pools(ciliumPool('blue', { blocks: [{ start: '192.0.2.1', stop: '192.0.2.3' }] }));
    service('new', { createdAt: '2026-01-01T00:00:00Z' });
    service('has', { held: ['192.0.2.1'], createdAt: '2026-01-09T00:00:00Z' });
    assert.deepEqual(settled(), { has: '192.0.2.1', new: '192.0.2.2' });
  });

  it('gives an address that is released to who waits for it', () => {
    pools(ciliumPool('blue', { blocks: [{ start: '192.0.2.1' }] }));
    service('a');
    service('b');
    assert.deepEqual(settled(), { a: '192.0.2.1', b: 'out_of_ips' });
    allocator.setService(key('a'), undefined);
    assert.deepEqual(settled(), { b: '192.0.2.1' });
  });

  it('gives nobody what another Service has taken: by hand, by another controller, as an external address', () => {
    pools(ciliumPool('blue', { blocks: [{ start: '192.0.2.1', stop: '192.0.2.4' }] }));
    service('theirs', { held: ['192.0.2.1'], spec: { loadBalancerClass: 'example.com/other' } });
    service('external', { spec: { type: 'ClusterIP', externalIPs: ['192.0.2.2'] } });
    service('cloud', { held: ['203.0.113.5'] });
    service('a');
    assert.deepEqual(settled(), { a: '192.0.2.3' });
  });

  it('is still not done with an address of another controller after the Service was heard again', () => {
    pools(ciliumPool('blue', { blocks: [{ start: '192.0.2.1', stop: '192.0.2.4' }] }));
    service('cloud', { held: ['203.0.113.5'] });
    assert.deepEqual(settled(), {});
    service('cloud', { held: ['203.0.113.5'], labels: { a: 'b' } });
    assert.deepEqual(settled(), {});
  });

  it('takes what we gave back when a Service is no load balancer any more', () => {
    pools(ciliumPool('blue', { blocks: [{ start: '192.0.2.1' }] }));
    service('a', { held: ['192.0.2.1'], isOurs: true, spec: { type: 'ClusterIP' } });
    service('b');
    assert.deepEqual(settled(), { a: 'withdraw', b: '192.0.2.1' });
  });

  it('changes nothing for who has an address when pools change, and says what would not be given any more', () => {
    pools(ciliumPool('blue', { blocks: [{ start: '192.0.2.1', stop: '192.0.2.9' }] }));
    service('a');
    assert.deepEqual(settled(), { a: '192.0.2.1' });
    service('a', { held: ['192.0.2.1'], isOurs: true });
    pools(ciliumPool('blue', { blocks: [{ start: '192.0.2.5', stop: '192.0.2.9' }] }));
    assert.deepEqual(settled(), { a: '192.0.2.1 stranded' });
    pools(
      ciliumPool('blue', {
        blocks: [{ start: '192.0.2.1', stop: '192.0.2.9' }],
        serviceSelector: { matchLabels: { a: 'b' } },
      }),
    );
    assert.deepEqual(settled(), { a: '192.0.2.1 stranded' });
    pools(ciliumPool('blue', { blocks: [{ cidr: '192.0.2.0/28' }], disabled: true }));
    assert.deepEqual(settled(), { a: '192.0.2.1' });
    pools();
    assert.deepEqual(settled(), { a: '192.0.2.1 stranded' });
  });

  describe('requests', () => {
    beforeEach(() => {
      pools(
        ciliumPool('blue', { blocks: [{ start: '192.0.2.1', stop: '192.0.2.9' }] }),
        ciliumPool('off', { blocks: [{ start: '198.51.100.1' }], disabled: true }),
        ciliumPool('red', { blocks: [{ start: '203.0.113.1' }], serviceSelector: { matchLabels: { color: 'red' } } }),
      );
    });

    const wants = (addresses: string) => ({ annotations: { 'lbipam.cilium.io/ips': addresses } });

    for (const [what, parts] of Object.entries({
      'the current annotation of Cilium': { annotations: { 'lbipam.cilium.io/ips': '192.0.2.7' } },
      'the old one': { annotations: { 'io.cilium/lb-ipam-ips': '192.0.2.7' } },
      'the current one, though the old one says otherwise': {
        annotations: { 'lbipam.cilium.io/ips': '192.0.2.7', 'io.cilium/lb-ipam-ips': '192.0.2.8' },
      },
      'that of MetalLB': { annotations: { 'metallb.io/loadBalancerIPs': '192.0.2.7' } },
      'its old one': { annotations: { 'metallb.universe.tf/loadBalancerIPs': ' 192.0.2.7 ' } },
      'the field of the Service': { spec: { loadBalancerIP: '192.0.2.7' } },
      'several, which agree': {
        annotations: { 'metallb.io/loadBalancerIPs': '192.0.2.7' },
        spec: { loadBalancerIP: '192.0.2.7' },
      },
    } satisfies Record<string, ServiceParts>)) {
      it(`are made by ${what}`, () => {
        service('a', parts);
        assert.deepEqual(settled(), { a: '192.0.2.7' });
      });
    }

    it('are granted one by one, each refusal with its reason', () => {
      service('b', wants('192.0.2.2'));
      settled();
      service('a', wants('192.0.2.1,192.0.2.2,198.51.100.1,203.0.113.1,198.51.100.9,2001:db8::1'));
      assert.deepEqual(settled(), { a: '192.0.2.1 already_allocated' });
      service('a', wants('203.0.113.1,192.0.2.2'));
      assert.deepEqual(settled(), { a: 'pool_selector_mismatch' });
      for (const [address, reason] of [
        ['198.51.100.1', 'no_pool'],
        ['198.51.100.9', 'no_pool'],
        ['2001:db8::1', 'wrong_family'],
      ] as const) {
        service(address, wants(address));
        assert.deepEqual(settled(), { [address]: reason });
      }
    });

    it('never end with another address, and cost the one that was there', () => {
      service('b', wants('192.0.2.2'));
      service('a');
      assert.deepEqual(settled(), { a: '192.0.2.1', b: '192.0.2.2' });
      service('a', wants('192.0.2.2'));
      assert.deepEqual(settled(), { a: 'already_allocated' });
      service('a', { held: ['192.0.2.1'] });
      assert.deepEqual(settled(), { a: '192.0.2.1' });
    });

    it('leave the address where it is when they are taken back', () => {
      service('a', wants('192.0.2.7'));
      settled();
      service('a', { held: ['192.0.2.7'] });
      assert.deepEqual(settled(), {});
    });

    it('are met when the address becomes free', () => {
      service('b', wants('192.0.2.2'));
      service('a', { ...wants('192.0.2.2'), createdAt: '2026-02-01T00:00:00Z' });
      settled();
      allocator.setService(key('b'), undefined);
      assert.deepEqual(settled(), { a: '192.0.2.2' });
    });
  });

  describe('pools of MetalLB', () => {
    it('that are reserved win, even where others are larger; of them the lowest priority, none last', () => {
      pools(
        metallbPool('any', { addresses: ['192.0.2.0/24'] }),
        metallbPool('ranked', { addresses: ['198.51.100.1/32'], serviceAllocation: { priority: 50 } }),
        metallbPool('shop', { addresses: ['203.0.113.1/32'], serviceAllocation: { namespaces: ['shop'] } }),
        metallbPool('first', {
          addresses: ['203.0.113.2/32'],
          serviceAllocation: { priority: 1, namespaces: ['shop'] },
        }),
      );
      for (const name of ['a', 'b', 'c', 'd']) service(name);
      assert.deepEqual(settled(), { a: '203.0.113.2', b: '198.51.100.1', c: '203.0.113.1', d: '192.0.2.0' });
    });

    it('are asked for by name, or not at all where they are not given out by themselves', () => {
      pools(metallbPool('byName', { addresses: ['192.0.2.1-192.0.2.2'], autoAssign: false }));
      service('a');
      service('b', { annotations: { 'metallb.io/address-pool': 'byName' } });
      service('c', { annotations: { 'metallb.universe.tf/address-pool': 'other' } });
      assert.deepEqual(settled(), { a: 'pool_selector_mismatch', b: '192.0.2.1', c: 'pool_selector_mismatch' });
    });

    it('select by name and by label of the namespace, and by labels of the Service', () => {
      allocator.setNamespace('shop', { team: 'red' });
      pools(
        metallbPool('red', {
          addresses: ['192.0.2.0/24'],
          serviceAllocation: {
            namespaces: ['other'],
            namespaceSelectors: [{ matchLabels: { team: 'red' } }],
            serviceSelectors: [{ matchExpressions: [{ key: 'tier', operator: 'In', values: ['web', 'api'] }] }],
          },
        }),
      );
      service('a', { labels: { tier: 'web' } });
      service('b', { labels: { tier: 'db' } });
      service('c', { labels: { tier: 'api' }, namespace: 'other' });
      service('d', { labels: { tier: 'api' }, namespace: 'third' });
      assert.deepEqual(settled(), {
        ...{ a: '192.0.2.1', b: 'pool_selector_mismatch', c: '192.0.2.0', d: 'pool_selector_mismatch' },
      });
    });

    it('avoid addresses that end in 0 or 255 where they are told to', () => {
      pools(metallbPool('tidy', { addresses: ['192.0.2.255-192.0.3.1'], avoidBuggyIPs: true }));
      service('a');
      service('b');
      assert.deepEqual(settled(), { a: '192.0.3.1', b: 'out_of_ips' });
    });
  });

  describe('two families', () => {
    const V4 = { addresses: ['192.0.2.0/28'] };
    const V6 = { addresses: ['2001:db8::/124'] };
    const prefers = { spec: { ...DUAL, ipFamilyPolicy: 'PreferDualStack' } };
    const requires = { spec: { ...DUAL, ipFamilyPolicy: 'RequireDualStack' } };

    it('come from one pool that has both, though another that has one comes before', () => {
      pools(metallbPool('a', V4), metallbPool('b', { addresses: ['203.0.113.0/28', '2001:db8::/124'] }));
      service('p', prefers);
      service('r', requires);
      assert.deepEqual(settled(), { p: '203.0.113.0 2001:db8::', r: '203.0.113.1 2001:db8::1' });
    });

    it('come from several pools of Cilium’s, and never of MetalLB’s', () => {
      pools(metallbPool('a', V4), metallbPool('b', V6));
      service('p', prefers);
      service('r', requires);
      assert.deepEqual(settled(), { p: '192.0.2.0 out_of_ips', r: 'out_of_ips' });
      pools(
        ciliumPool('a', { blocks: [{ cidr: '198.51.100.0/28' }] }),
        ciliumPool('b', { blocks: [{ cidr: 'fd00::/124' }] }),
      );
      service('q', prefers);
      const { q, r } = settled();
      assert.deepEqual([q, r], ['198.51.100.0 fd00::1', '198.51.100.1 fd00::2']);
    });

    it('are completed when the second becomes available, with the first kept', () => {
      pools(ciliumPool('a', { blocks: [{ cidr: '192.0.2.0/28' }] }));
      service('p', prefers);
      assert.deepEqual(settled(), { p: '192.0.2.0 out_of_ips' });
      pools(
        ciliumPool('a', { blocks: [{ cidr: '192.0.2.0/28' }] }),
        ciliumPool('0', { blocks: [{ cidr: '198.51.100.0/28' }, { cidr: 'fd00::/124' }] }),
      );
      assert.deepEqual(settled(), { p: '192.0.2.0 fd00::' });
    });

    it('become one when the Service has one, which is then the primary one', () => {
      pools(ciliumPool('a', { blocks: [{ cidr: '192.0.2.0/28' }, { cidr: 'fd00::/124' }] }));
      service('p', { ...prefers, held: ['192.0.2.3', 'fd00::5'], isOurs: true });
      assert.deepEqual(settled(), { p: '192.0.2.3 fd00::5' });
      service('p', { held: ['192.0.2.3', 'fd00::5'], isOurs: true, spec: { ipFamilies: ['IPv6'] } });
      assert.deepEqual(settled(), { p: 'fd00::5' });
    });
  });

  describe('sharing', () => {
    const shares = (port: number, more: ServiceParts = {}): ServiceParts => ({
      ...more,
      annotations: { 'lbipam.cilium.io/sharing-key': 'k', ...more.annotations },
      spec: { ports: [{ port, protocol: 'TCP' }], ...more.spec },
    });
    beforeEach(() => pools(ciliumPool('blue', { blocks: [{ start: '192.0.2.1', stop: '192.0.2.9' }] })));

    it('takes the same key and other ports, also of the other protocol', () => {
      service('a', shares(80));
      service('b', shares(81));
      service('c', shares(80));
      service('d', shares(80, { spec: { ports: [{ port: 80, protocol: 'UDP' }] } }));
      service('e', { spec: { ports: [{ port: 99 }] } });
      assert.deepEqual(settled(), { a: '192.0.2.1', b: '192.0.2.1', c: '192.0.2.2', d: '192.0.2.1', e: '192.0.2.3' });
    });

    it('takes the same policy, and with Local the same pods', () => {
      const local = (selector: object) => ({ spec: { externalTrafficPolicy: 'Local', selector } });
      service('a', shares(80, local({ app: 'x' })));
      service('b', shares(81, local({ app: 'x' })));
      assert.deepEqual(settled(), { a: '192.0.2.1', b: '192.0.2.1' });
      const to = (address: string) => ({ 'lbipam.cilium.io/ips': address });
      service('c', shares(82, { spec: { ports: [{ port: 82 }] }, annotations: to('192.0.2.1') }));
      assert.deepEqual(settled(), { c: 'already_allocated_incompatible_service' });
    });

    it('crosses namespaces when both sides say so', () => {
      const across = (namespaces: string) => ({ 'lbipam.cilium.io/sharing-cross-namespace': namespaces });
      service('a', shares(80, { annotations: across('other') }));
      const late = { namespace: 'other', createdAt: '2026-02-01T00:00:00Z' };
      service('b', shares(81, late));
      service('c', shares(82, { ...late, annotations: across('*') }));
      assert.deepEqual(settled(), { a: '192.0.2.1', b: '192.0.2.2', c: '192.0.2.1' });
    });

    it('has the one move that changed, when a clash appears', () => {
      service('a', shares(80));
      service('b', shares(81));
      settled();
      service('b', shares(80, { held: ['192.0.2.1'], isOurs: true }));
      assert.deepEqual(settled(), { b: '192.0.2.2' });
    });
  });

  it('has the younger of two overlapping pools give nothing, and take nothing from anybody', () => {
    const older = ciliumPool('z', { blocks: [{ cidr: '192.0.2.0/30' }] }, '2026-01-01T00:00:00Z');
    const younger = ciliumPool(
      'a',
      { blocks: [{ cidr: '192.0.2.2/31' }, { cidr: '203.0.113.0/28' }] },
      '2026-02-01T00:00:00Z',
    );
    pools(younger);
    service('has');
    assert.deepEqual(settled(), { has: '192.0.2.2' });
    pools(younger, older);
    service('a');
    service('wants', { annotations: { 'lbipam.cilium.io/ips': '203.0.113.5' } });
    assert.deepEqual(settled(), { a: '192.0.2.0', wants: 'no_pool' });
    assert.deepEqual([...allocator.conflicts.keys()], ['cilium/a']);
  });

  it('gives nothing that the cluster itself uses, and nothing that means something else everywhere', () => {
    const own = [reserve(cidr('192.0.2.0/30'), 'a cluster IP'), reserve(cidr('192.0.2.5/32'), 'the address of node a')];
    const wants = (address: string) => ({ annotations: { 'lbipam.cilium.io/ips': address } });
    pools(ciliumPool('blue', { blocks: [{ start: '192.0.2.0', stop: '192.0.2.6' }, { cidr: '127.0.0.0/29' }] }));
    allocator.setReserved(own);
    for (const name of ['a', 'b', 'c']) service(name);
    service('node', wants('192.0.2.5'));
    service('loop', wants('127.0.0.1'));
    assert.deepEqual(settled(), {
      ...{ a: '192.0.2.4', b: '192.0.2.6', c: 'out_of_ips' },
      ...{ node: 'reserved', loop: 'reserved' },
    });
    allocator.setReserved(own.slice(0, 1));
    assert.deepEqual(settled(), { c: '192.0.2.5', node: 'already_allocated' });
    service('theirs', { held: ['192.0.2.1'] });
    assert.deepEqual(settled(), {});
    allocator.setReserved([...own, reserve(cidr('192.0.2.4/32'), 'the address of node b')]);
    assert.deepEqual(settled(), { a: '192.0.2.4 stranded', c: '192.0.2.5 stranded', node: 'reserved' });
  });

  it('passes over what is reserved in one step, in pools of everything', () => {
    pools(metallbPool('all', { addresses: ['0.0.0.0/0', '::/0'] }));
    allocator.setReserved([reserve(cidr('1.0.0.0/8'), 'an address of pods')]);
    service('a', { spec: { ...DUAL, ipFamilyPolicy: 'RequireDualStack' } });
    assert.deepEqual(settled(), { a: '2.0.0.0 100::' });
  });

  it('leaves an address that somebody else wrote instead of ours', () => {
    pools(metallbPool('p', { addresses: ['192.0.2.0/28'] }));
    service('a');
    assert.deepEqual(settled(), { a: '192.0.2.0' });
    service('a', { held: ['192.0.2.9'] });
    assert.deepEqual(settled(), { a: '192.0.2.9' });
    service('b');
    assert.deepEqual(settled(), { b: '192.0.2.0' });
  });

  it('keeps what it decided while the status does not show it yet', () => {
    pools(metallbPool('p', { addresses: ['192.0.2.0/28'] }));
    service('a');
    settled();
    service('a', { labels: { changed: 'yes' } });
    assert.deepEqual(settled(), {});
  });
});
