import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { Route } from '@tombolo/shared/model/routes.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';
import { FrontendBooks } from './frontend-books.ts';

const A = serviceKey('default', 'a');
const B = serviceKey('default', 'b');
const cluster: Frontend = { kind: 'ClusterIP', address: ip('10.96.0.1'), port: 80, protocol: 'TCP' };
const backend = { address: ip('10.0.0.1'), port: 8080, clusterId: 1 };
const route = (change: Partial<Route> = {}): Route => ({
  frontends: [cluster],
  backends: [backend],
  sessionAffinitySeconds: 0,
  ...change,
});

describe('FrontendBooks', () => {
  it('passes over NodePorts and SCTP without a failure', () => {
    const any: Frontend = { kind: 'NodePort', address: ip('0.0.0.0'), port: 30_000, protocol: 'TCP' };
    const external: Frontend = { ...cluster, kind: 'ExternalIP', address: ip('192.0.2.1') };
    const sctp = route({ frontends: [{ ...cluster, protocol: 'SCTP' }] });
    const { desired, failures } = new FrontendBooks().enter(A, [route({ frontends: [cluster, any, external] }), sctp]);
    assert.deepEqual([desired.map(({ frontend }) => frontend), failures], [[cluster, external], []]);
  });

  const faults = [
    { name: 'a port out of range', change: { backends: [{ ...backend, port: 0 }] }, reason: /port must be 1-65535/ },
    { name: 'another family', change: { backends: [{ ...backend, address: ip('fd00::1') }] }, reason: /family/ },
    {
      name: 'a mapped address',
      change: { frontends: [{ ...cluster, address: ip('::ffff:10.0.0.1') }], backends: [] },
      reason: /mapped/,
    },
    { name: 'half a second', change: { sessionAffinitySeconds: 0.5 }, reason: /whole seconds/ },
  ];
  for (const { name, change, reason } of faults) {
    it(`reports ${name}, and still owns the frontend`, () => {
      const books = new FrontendBooks();
      const { desired, failures } = books.enter(A, [route(change)]);
      assert.equal(desired.length, 0);
      assert.match(failures[0]?.reason ?? '', reason);
      assert.equal(failures[0] && books.has(failures[0].frontend), true);
    });
  }

  it('refuses a frontend that another Service has, until that is struck out', () => {
    const books = new FrontendBooks();
    books.enter(A, [route()]);
    assert.match(books.enter(B, [route()]).failures[0]?.reason ?? '', /service "default\/a" has it/);
    assert.deepEqual(books.strike(B), []);
    assert.deepEqual(books.strike(A), [cluster]);
    assert.equal(books.enter(B, [route()]).desired.length, 1);
  });
});
