import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { ServiceRoutes } from '@tombolo/shared/model/routes.ts';
import { type ServiceKey, serviceKey } from '@tombolo/shared/model/service.ts';
import fc from 'fast-check';
import { FrontendClaims } from './frontend-claims.ts';

const KEYS = ['shop/a', 'shop/b', 'shop/c'] as ServiceKey[];

const routesFor = (ports: readonly number[]): ServiceRoutes =>
  ports.map((port) => ({
    frontends: [{ kind: 'ExternalIP', address: ip('192.0.2.1'), port, protocol: 'TCP' }],
    backends: [],
    sessionAffinitySeconds: 0,
  }));

const portsOf = (routes: ServiceRoutes | undefined): readonly number[] =>
  (routes ?? []).flatMap(({ frontends }) => frontends.map(({ port }) => port)).sort();

const anyChange = fc.tuple(
  fc.constantFrom(...KEYS),
  fc.option(fc.uniqueArray(fc.constantFrom(80, 81, 82), { minLength: 1 }), { nil: undefined }),
);

describe('FrontendClaims', () => {
  it('gives each frontend to the first key that wants it, whatever happened before', () => {
    fc.assert(
      fc.property(fc.array(anyChange, { maxLength: 15 }), (history) => {
        const claims = new FrontendClaims();
        const inForce = new Map<ServiceKey, ServiceRoutes | undefined>();
        for (const [key, ports] of history) {
          for (const [changed, share] of claims.resolve(new Map([[key, ports && routesFor(ports)]]))) {
            inForce.set(changed, share);
          }
        }
        const wanted = new Map(history);
        const taken = new Set<number>();
        for (const key of KEYS) {
          const expected = (wanted.get(key) ?? []).filter((port) => !taken.has(port)).sort();
          assert.deepEqual(portsOf(inForce.get(key)), expected);
          assert.deepEqual(portsOf(claims.all().get(key)), expected);
          for (const port of expected) taken.add(port);
        }
      }),
    );
  });

  it('names winner and loser', () => {
    const claims = new FrontendClaims();
    claims.resolve(new Map(KEYS.slice(0, 2).map((key) => [key, routesFor([80])])));
    assert.deepEqual(claims.conflicts(), [
      { frontend: '192.0.2.1:80/TCP', winner: serviceKey('shop', 'a'), loser: serviceKey('shop', 'b') },
    ]);
    claims.resolve(new Map([[KEYS[0] as ServiceKey, undefined]]));
    assert.deepEqual(claims.conflicts(), []);
  });
});
