import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { Route } from '@tombolo/shared/model/routes.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { Ownership } from './ownership.ts';

const [a, b] = [serviceKey('demo', 'a'), serviceKey('demo', 'b')];
const route = (...ports: readonly number[]): Route => ({
  frontends: ports.map((port) => ({ kind: 'ClusterIP', address: ip('10.96.0.1'), port, protocol: 'TCP' })),
  backends: [],
  sessionAffinitySeconds: 0,
});
const show = ({ changes }: ReturnType<Ownership['change']>): string[] =>
  [...changes].map(([id, served]) => `${served === undefined ? '-' : '+'}${/:(\d+)\//.exec(id)?.[1]}`).sort();

describe('Ownership', () => {
  it('sets what a Service has and removes what it had', () => {
    const ownership = new Ownership();
    assert.deepEqual(show(ownership.change(new Map([[a, [route(80, 443)]]]))), ['+443', '+80']);
    assert.deepEqual(show(ownership.change(new Map([[a, [route(443)]]]))), ['+443', '-80']);
    assert.deepEqual(show(ownership.change(new Map([[a, undefined]]))), ['-443']);
    assert.deepEqual(show(ownership.change(new Map([[a, undefined]]))), []);
  });

  it('hands a frontend over in one change', () => {
    const ownership = new Ownership();
    ownership.change(new Map([[b, [route(80)]]]));
    const handed = ownership.change(
      new Map([
        [a, [route(80)]],
        [b, undefined],
      ]),
    );
    assert.deepEqual(show(handed), ['+80']);
    assert.deepEqual(handed.failures, []);
  });

  it('leaves a frontend to the Service that has it, until that gives it up', () => {
    const ownership = new Ownership();
    ownership.change(new Map([[b, [route(80)]]]));
    const { changes, failures } = ownership.change(new Map([[a, [route(80, 81)]]]));
    assert.deepEqual([...changes.keys()], ['10.96.0.1:81/TCP']);
    assert.deepEqual(
      failures.map(({ reason }) => reason),
      ['service "demo/b" has this frontend already'],
    );
    ownership.change(new Map([[b, undefined]]));
    assert.deepEqual(ownership.change(new Map([[a, [route(80, 81)]]])).failures, []);
  });

  it('reports a route that breaks the contract, and leaves what is in force', () => {
    const ownership = new Ownership();
    ownership.change(new Map([[a, [route(80)]]]));
    const broken = ownership.change(new Map([[a, [{ ...route(80), sessionAffinitySeconds: 0.5 }]]]));
    assert.equal(broken.changes.size, 0);
    assert.match(broken.failures[0]?.reason ?? '', /whole seconds: current value is 0.5/);
  });
});
