import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { type FrontendKind, frontendId } from '@tombolo/shared/model/service-table.ts';
import { headElements } from './elements.ts';
import { ServedTable } from './plan.ts';
import type { Served } from './slots.ts';

const ADDRESSES: Readonly<Record<FrontendKind, readonly string[]>> = {
  ClusterIP: ['10.96.0.1', 'fd96::1'],
  ExternalIP: ['192.0.2.7', 'fd00:7::7'],
  LoadBalancer: ['198.51.100.1', 'fd00:7::8'],
  NodePort: ['0.0.0.0', '::'],
};

const served = (kind: FrontendKind, address: string, backends = 1): Served => ({
  frontend: { kind, address: ip(address), port: 80, protocol: 'TCP' },
  clients: 'all',
  ranges: [],
  affinitySeconds: 0,
  backends: Array.from({ length: backends }, (_, at) => ({
    address: ip(address.includes(':') ? `fd00::${at + 1}` : `10.1.0.${at + 1}`),
    port: 8080,
    clusterId: 1,
  })),
});

describe('headElements()', () => {
  const setsOf = (each: Served) => {
    const table = new ServedTable();
    const plan = table.plan(new Map([[frontendId(each.frontend), each]]));
    table.commit(plan);
    return [...table.frontends.values()].flatMap((placed) => headElements(placed)).map(({ set, key }) => [set, ...key]);
  };

  for (const kind of ['ExternalIP', 'LoadBalancer', 'NodePort'] as const) {
    // Whoever comes through these is masqueraded where the backend is on another node: its answer must pass here again.
    it(`has what comes to a ${kind} masqueraded, in both families`, () => {
      for (const address of ADDRESSES[kind]) {
        assert.deepEqual(setsOf(served(kind, address)), [
          ['services', address, 'tcp', 80],
          ['external', address, 'tcp', 80],
        ]);
      }
    });
  }

  it('leaves clients of a ClusterIP as they are', () => {
    for (const address of ADDRESSES.ClusterIP) {
      assert.deepEqual(setsOf(served('ClusterIP', address)), [['services', address, 'tcp', 80]]);
    }
  });

  it('refuses at once what has no backends, of whatever kind', () => {
    for (const kind of ['ClusterIP', 'ExternalIP', 'LoadBalancer', 'NodePort'] as const) {
      for (const address of ADDRESSES[kind]) {
        assert.deepEqual(setsOf(served(kind, address, 0)), [['refused', address, 'tcp', 80]]);
      }
    }
  });
});
