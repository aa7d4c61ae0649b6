import assert from 'node:assert/strict';
import type { AddressPool } from '@tombolo/shared/model/address-pool.ts';
import { parseRange } from '@tombolo/shared/model/address-range.ts';
import { type IpAddress, ip } from '@tombolo/shared/model/ip.ts';
import { sampleEndpoint, sampleRemote, sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import type { LocalEndpoint, LocalService } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts } from '@tombolo/shared/model/service-table.ts';
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
