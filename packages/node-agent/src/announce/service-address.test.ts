import assert from 'node:assert/strict';
import type { AddressPool } from '@tombolo/shared/model/address-pool.ts';
import { parseRange } from '@tombolo/shared/model/address-range.ts';
import { type IpAddress, ip } from '@tombolo/shared/model/ip.ts';
import { sampleEndpoint, sampleRemote, sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import type { LocalEndpoint, LocalService } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts } from '@tombolo/shared/model/service-table.ts';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { MemoryTable } from './memory-table.fixture.ts';
import { type AnnouncingNode, type Obstacle, serviceAddresses } from './service-address.ts';
import { ServiceAddresses } from './service-addresses.ts';

const HERE: AnnouncingNode = { name: 'a', scope: 'global', isExcluded: false };
const VIP = ip('192.0.2.1');

const pool = (name: string, range: string): AddressPool => {
  const parsed = parseRange(range);
  assert.ok(parsed.ok);
  return {
    ...{
      product: 'metallb',
      name,
      labels: { tier: name },
      createdAt: '',
      ranges: [parsed.value],
      avoidsBuggyIps: false,
    },
    ...{ disabled: false, automatic: true, priority: Number.POSITIVE_INFINITY },
  };
};

function facts(service: Partial<LocalService>, endpoints: readonly LocalEndpoint[] = [], others = {}): ServiceFacts {
  const own = sampleService(undefined, { loadBalancerIps: [VIP], clusterIps: [], ...service });
  return {
    ...{ key: own.key, service: own, takesPart: true, endpoints, remotes: [], refusedFrontends: new Map() },
    ...others,
  };
}

const on = (node: string, fields: Partial<LocalEndpoint> = {}): LocalEndpoint =>
  sampleEndpoint(`10.1.${node.charCodeAt(0)}.1`, { node, ...fields });

const ENDING = { ready: false, serving: true, terminating: true };

function obstacle(what: ServiceFacts, node = HERE, isApplied = true): Obstacle | undefined {
  const [address] = serviceAddresses(what, node, [], () => isApplied);
  assert.ok(address);
  return address.obstacle;
}

describe('addresses of Services, to be announced', () => {
  it('are announced where somebody serves them', () => {
    assert.equal(obstacle(facts({}, [on('b')])), undefined);
    assert.equal(obstacle(facts({})), 'noEndpoints');
    assert.equal(obstacle(facts({}, [on('b', { ready: false, serving: false, terminating: false })])), 'noEndpoints');
  });

  it('count backends of other clusters, where the Service is global', () => {
    const remotes = [
      { cluster: { name: 'west', id: 2 }, view: { kind: 'synced' }, service: sampleRemote(['10.2.0.1']) },
    ];
    assert.equal(obstacle(facts({}, [], { remotes })), undefined);
    assert.equal(obstacle(facts({ global: false }, [], { remotes })), 'noEndpoints');
    assert.equal(obstacle(facts({}, [], { remotes, takesPart: false })), 'noEndpoints');
  });

  it('need an endpoint on this node under policy Local', () => {
    const local = { externalTrafficPolicy: 'Local' } as const;
    assert.equal(obstacle(facts(local, [on('a')])), undefined);
    assert.equal(obstacle(facts(local, [on('b')])), 'noLocalEndpoints');
    assert.equal(obstacle(facts(local)), 'noEndpoints');
  });

  it('leave a node before its last endpoint ends, unless it is the last of all', () => {
    const local = { externalTrafficPolicy: 'Local' } as const;
    assert.equal(obstacle(facts(local, [on('a', ENDING), on('b')])), 'noLocalEndpoints');
    assert.equal(obstacle(facts(local, [on('a', ENDING), on('b', ENDING)])), undefined);
    assert.equal(obstacle(facts({}, [on('b', ENDING)])), undefined);
  });

  it('need an endpoint of their family, at a port of the Service', () => {
    assert.equal(obstacle(facts({ loadBalancerIps: [ip('2001:db8::1')] }, [on('b')])), 'noEndpoints');
    const elsewhere = on('b', { ports: [{ name: 'other', protocol: 'TCP', port: 8080 }] });
    assert.equal(obstacle(facts({}, [elsewhere])), 'noEndpoints');
  });

  it('wait for the kernel, where it is ours to program', () => {
    assert.equal(obstacle(facts({}, [on('b')]), HERE, false), 'notProgrammed');
    assert.equal(obstacle(facts({ global: false }, [on('b')]), HERE, false), undefined);
  });

  it('are not announced from a node that is excluded, nor where another class is asked for', () => {
    assert.equal(obstacle(facts({}, [on('b')]), { ...HERE, isExcluded: true }), 'nodeExcluded');
    assert.equal(obstacle(facts({ loadBalancerClass: 'example.org/cloud' }, [on('b')])), 'otherClass');
    assert.equal(obstacle(facts({ loadBalancerClass: 'io.cilium/l2-announcer' }, [on('b')])), undefined);
  });

  it('may stay for a while where nothing else than the node’s exclusion stands in their way', () => {
    const drains = (what: ServiceFacts, isExcluded: boolean): boolean | undefined =>
      serviceAddresses(what, { ...HERE, isExcluded }, [], () => true)[0]?.drains;
    assert.equal(drains(facts({}, [on('b')]), true), true);
    assert.equal(drains(facts({}, [on('b')]), false), false);
    assert.equal(drains(facts({}), true), false);
    assert.equal(drains(facts({ externalTrafficPolicy: 'Local' }, [on('b')]), true), false);
  });

  describe('while other clusters alone have backends', () => {
    const west = (fields = {}) => [
      { cluster: { name: 'west', id: 2 }, view: { kind: 'synced' }, service: sampleRemote(['10.2.0.1'], fields) },
    ];
    const told = (service: Partial<LocalService>, endpoints: readonly LocalEndpoint[], remotes: unknown = west()) => {
      const [address] = serviceAddresses(facts(service, endpoints, { remotes }), HERE, [], () => true);
      return [address?.obstacle, address?.remoteOnly];
    };

    it('do what the Service says', () => {
      assert.deepEqual(told({}, []), [undefined, 'stay']);
      assert.deepEqual(told({ whenRemoteOnly: 'lower-preference' }, []), [undefined, 'lower-preference']);
      assert.deepEqual(told({ whenRemoteOnly: 'withdraw' }, []), ['remoteOnly', 'withdraw']);
      assert.deepEqual(told({ whenRemoteOnly: 'withdraw' }, [on('b')]), [undefined, undefined]);
      // Nobody else has any either.
      assert.deepEqual(told({ whenRemoteOnly: 'withdraw' }, [], []), ['noEndpoints', undefined]);
      assert.deepEqual(told({ whenRemoteOnly: 'withdraw', global: false }, []), ['noEndpoints', undefined]);
    });

    it('count as such before the last endpoint here ends, unless all others are ending, too', () => {
      assert.deepEqual(told({ whenRemoteOnly: 'withdraw' }, [on('a', ENDING)]), ['remoteOnly', 'withdraw']);
      const ending = west({ terminating: true });
      assert.deepEqual(told({ whenRemoteOnly: 'withdraw' }, [on('a', ENDING)], ending), [undefined, undefined]);
      assert.deepEqual(told({ whenRemoteOnly: 'withdraw' }, [], ending), ['remoteOnly', 'withdraw']);
    });

    it('leave no mesh without an announcement that has a backend, and none for one that has not', () => {
      const state = fc.constantFrom('ready', 'ending', 'gone');
      const endpoint = { ready: on('a'), ending: on('a', ENDING), gone: on('a', { ready: false, serving: false }) };
      fc.assert(
        fc.property(
          fc.array(fc.array(state, { maxLength: 3 }), { minLength: 2, maxLength: 4 }),
          fc.constantFrom('stay', 'lower-preference', 'withdraw'),
          (clusters, whenRemoteOnly) => {
            // What each tells the others: those that are ready, or else those that end, marked.
            const exported = clusters.map((states, i) => {
              const isEnding = !states.includes('ready');
              const sent = states.filter((each) => each === (isEnding ? 'ending' : 'ready'));
              const addresses = sent.map((_, n) => `10.${i + 1}.0.${n + 1}`);
              return {
                ...{ cluster: { name: `c${i}`, id: i + 1 }, view: { kind: 'synced' } },
                service: sampleRemote(addresses, { terminating: isEnding }),
              };
            });
            const told = clusters.map((states, i) => {
              const endpoints = states.map((each) => endpoint[each]);
              const others = { remotes: exported.filter((_, n) => n !== i) };
              const found = serviceAddresses(facts({ whenRemoteOnly }, endpoints, others), HERE, [], () => true);
              return found[0] ?? assert.fail();
            });
            const isThere = (what: string) => clusters.some((states) => states.includes(what as 'ready'));
            const full = told.filter(({ obstacle, remoteOnly }) => !obstacle && remoteOnly !== 'lower-preference');
            assert.equal(full.length > 0, isThere('ready') || isThere('ending'));
            for (const [i, { obstacle, remoteOnly }] of told.entries()) {
              const states = clusters[i] ?? [];
              const hasOwn = states.includes('ready') || (states.includes('ending') && !isThere('ready'));
              if (hasOwn) assert.deepEqual([obstacle, remoteOnly], [undefined, undefined]);
              else if (isThere('ready') || isThere('ending')) {
                assert.equal(remoteOnly, whenRemoteOnly);
                assert.equal(obstacle, whenRemoteOnly === 'withdraw' ? 'remoteOnly' : undefined);
              } else assert.equal(obstacle, 'noEndpoints');
            }
          },
        ),
      );
    });
  });

  it('are told with their kind and their pools', () => {
    const service = {
      clusterIps: [ip('10.96.0.1')],
      externalIps: [VIP, ip('192.0.2.9')],
      internalTrafficPolicy: 'Local',
    };
    const pools = [pool('all', '192.0.2.0/24'), pool('few', '192.0.2.1-192.0.2.2'), pool('v6', '2001:db8::/64')];
    const found = serviceAddresses(facts(service as Partial<LocalService>, [on('a')]), HERE, pools, () => true);
    assert.deepEqual(
      found.map(({ kind, address, policy, pools: of }) => [kind, address, policy, of.map(({ name }) => name)]),
      [
        ['LoadBalancer', VIP, 'Cluster', ['all', 'few']],
        ['ExternalIP', ip('192.0.2.9'), 'Cluster', ['all']],
        ['ClusterIP', ip('10.96.0.1'), 'Local', []],
      ],
    );
  });
});

describe('addresses of all Services', () => {
  const obstaclesOf = (addresses: ServiceAddresses): readonly (readonly [IpAddress, Obstacle | undefined])[] =>
    [...addresses.all.values()].flat().map(({ address, obstacle: why }) => [address, why] as const);

  it('wait until the kernel has the revision in which they came, each of its own', () => {
    const table = new MemoryTable();
    let applied = 0;
    const addresses = new ServiceAddresses({ table, applied: () => applied }, HERE);
    table.set(facts({}, [on('b')]));
    assert.deepEqual(obstaclesOf(addresses), [[VIP, 'notProgrammed']]);
    applied = table.revision;
    addresses.applied();
    assert.deepEqual(obstaclesOf(addresses), [[VIP, undefined]]);
    const second = ip('192.0.2.2');
    table.set(facts({ loadBalancerIps: [VIP, second] }, [on('b')]));
    assert.deepEqual(obstaclesOf(addresses), [
      [VIP, undefined],
      [second, 'notProgrammed'],
    ]);
    // What comes meanwhile is no reason to wait for longer.
    table.set(facts({ loadBalancerIps: [VIP, second] }, [on('b'), on('c')]));
    applied = table.revision - 1;
    addresses.applied();
    assert.deepEqual(obstaclesOf(addresses), [
      [VIP, undefined],
      [second, undefined],
    ]);
  });

  it('are forgotten with their Service, and after a change that was missed', () => {
    const table = new MemoryTable();
    const addresses = new ServiceAddresses({ table, applied: () => 1_000 }, HERE);
    const one = facts({}, [on('b')]);
    table.set(one);
    assert.equal(addresses.all.size, 1);
    table.remove(one.key);
    assert.equal(addresses.all.size, 0);
    table.set(one);
    table.compact(one.key);
    assert.equal(addresses.all.size, 0);
  });

  it('follow the node and the pools', () => {
    const table = new MemoryTable();
    const addresses = new ServiceAddresses({ table, applied: () => 1_000 }, HERE);
    table.set(facts({}, [on('b')]));
    const seen = addresses.changed.version;
    addresses.setNode({ ...HERE, isExcluded: true });
    assert.deepEqual(obstaclesOf(addresses), [[VIP, 'nodeExcluded']]);
    addresses.setNode(HERE);
    addresses.setPools([pool('all', '192.0.2.0/24')]);
    assert.deepEqual(
      [...addresses.all.values()][0]?.[0]?.pools.map(({ labels }) => labels),
      [{ tier: 'all' }],
    );
    assert.equal(addresses.changed.version, seen + 3);
  });
});
