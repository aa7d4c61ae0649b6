import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { BackendPort, LocalEndpoint, RemoteContribution } from '@tombolo/shared/model/service.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts } from '@tombolo/shared/model/service-table.ts';
import { placesIn, withdrawnFrom } from './withdrawals.ts';

const port = (number: number, protocol: BackendPort['protocol'] = 'TCP'): BackendPort => ({
  name: '',
  protocol,
  port: number,
});

const endpoint = (address: string, extra: Partial<LocalEndpoint> = {}): LocalEndpoint => ({
  ...{ address: ip(address), ports: [port(80)], ready: true, serving: true, terminating: false },
  ...{ node: '', zone: '', zoneHints: [], nodeHints: [], hostname: '', pod: `pod-${address}` },
  origin: { source: 'kubernetes', revision: '1', at: 0 },
  ...extra,
});

const remote = (name: string, addresses: readonly string[], ports = [port(80)]): RemoteContribution => ({
  cluster: { name, id: 2 } as RemoteContribution['cluster'],
  view: { kind: 'synced' },
  service: {
    ...{ key: serviceKey('shop', 'web'), shared: true, terminating: false, frontendPorts: [] },
    backends: addresses.map((address) => ({ address: ip(address), ports, zone: '' })),
    origin: { source: 'etcd', revision: '1', at: 0 },
  },
});

const facts = (endpoints: readonly LocalEndpoint[], remotes: readonly RemoteContribution[] = []): ServiceFacts => ({
  ...{ key: serviceKey('shop', 'web'), service: undefined, takesPart: true, refusedFrontends: new Map() },
  ...{ endpoints, remotes },
});

const told = (...[before, after]: Parameters<typeof withdrawnFrom>): readonly string[] =>
  withdrawnFrom(before, after).map(
    ({ address, port: number, protocol, owner }) =>
      `${address}:${number}/${protocol} ${owner.kind === 'pod' ? `${owner.namespace}/` : ''}${owner.name}`,
  );

describe('withdrawals', () => {
  it('are what nobody offers any more, with whom to ask', () => {
    const before = facts([endpoint('10.1.0.1'), endpoint('10.1.0.2')], [remote('west', ['10.2.0.1', '10.2.0.2'])]);
    assert.deepEqual(told(before, facts([endpoint('10.1.0.1')], [remote('west', ['10.2.0.2'])])), [
      '10.1.0.2:80/TCP shop/pod-10.1.0.2',
      '10.2.0.1:80/TCP west',
    ]);
    assert.equal(told(before, undefined).length, 4);
    assert.deepEqual(told(before, before), []);
  });

  it('are not those that are unready, terminate, are offered by somebody else, or lose a port by another name', () => {
    const before = facts([endpoint('10.1.0.1'), endpoint('10.1.0.2')], [remote('west', ['10.2.0.1'])]);
    const after = facts(
      [endpoint('10.1.0.1', { ready: false, serving: false }), endpoint('10.1.0.2', { terminating: true })],
      [remote('north', ['10.2.0.1'])],
    );
    assert.deepEqual(told(before, after), []);
  });

  it('are of single ports, of TCP and UDP, and not of addresses that are no pod', () => {
    const ports = [port(80), port(53, 'UDP'), port(9, 'SCTP')];
    const before = facts([endpoint('192.0.2.1', { pod: undefined })], [remote('west', ['10.2.0.1'], ports)]);
    assert.deepEqual(told(before, facts([], [remote('west', ['10.2.0.1'], [port(80)])])), ['10.2.0.1:53/UDP west']);
    assert.deepEqual([...placesIn(before)], ['192.0.2.1 80 TCP', '10.2.0.1 80 TCP', '10.2.0.1 53 UDP']);
  });
});
