import assert from 'node:assert/strict';
import type { Json } from '@tombolo/shared/kubernetes/json.ts';
import type { ServiceStatusObject } from '@tombolo/shared/kubernetes/service-status-object.ts';
import { type ServiceKey, serviceKey } from '@tombolo/shared/model/service.ts';
import fc from 'fast-check';
import { CONTESTED_MS, SETTLE_MS, StatusPlan, type StatusWrite } from './status-plan.ts';

const CART = serviceKey('shop', 'cart');
const PEERS = { peers: ['tor'] };
const statusOf = (more: Json = PEERS, name = 'cart'): Json => ({
  ...{ node: 'n1', serviceName: name, serviceNamespace: 'shop' },
  ...more,
});
const found = (more: Partial<ServiceStatusObject> = {}): ServiceStatusObject => ({
  ...{ name: 'bgp-a', service: CART, isOurs: true, status: statusOf() },
  ...more,
});
const told = (more: Json = PEERS) => new Map([[CART, more]]);
const kinds = (writes: readonly StatusWrite[]) => writes.map(({ kind }) => kind);

describe('the status of announcing', () => {
  it('is made once, with a name that the next agent finds again', () => {
    const plan = new StatusPlan('bgp', 'n1');
    const [write, ...more] = plan.writes(0, told(), []);
    assert.deepEqual(more, []);
    assert(write?.kind === 'create');
    assert.deepEqual(write.status, statusOf());
    assert.match(write.name, /^bgp-[0-9a-f]{20}$/);
    plan.done(write, 0);
    // It is not heard of yet.
    assert.deepEqual(plan.writes(1_000, told(), []), []);
    assert.deepEqual(plan.writes(2_000, told(), [found({ name: write.name })]), []);
    assert.deepEqual(new StatusPlan('bgp', 'n1').writes(0, told(), []), [write]);
    assert.notEqual(new StatusPlan('bgp', 'n2').writes(0, told(), [])[0]?.name, write.name);
  });

  it('follows what it is about', () => {
    const plan = new StatusPlan('l2', 'n1');
    const other = { interfaces: [{ name: 'eth1' }] };
    assert.deepEqual(plan.writes(0, told(other), [found()]), [
      { kind: 'update', name: 'bgp-a', service: CART, status: statusOf(other) },
    ]);
    // It was made, and its status not yet.
    assert.deepEqual(kinds(plan.writes(0, told(), [found({ status: {} })])), ['update']);
    // What it names cannot be changed.
    const wrong = found({ status: { ...statusOf(), node: 'n2' } });
    assert.deepEqual(kinds(plan.writes(0, told(), [wrong])), ['create', 'delete']);
  });

  it('goes when nothing has been announced for a while, and not at a flap', () => {
    const plan = new StatusPlan('bgp', 'n1');
    assert.deepEqual(plan.writes(0, new Map(), [found()]), []);
    assert.deepEqual(plan.writes(SETTLE_MS - 1, told(), [found()]), []);
    assert.deepEqual(plan.writes(SETTLE_MS, new Map(), [found()]), []);
    assert.deepEqual(kinds(plan.writes(2 * SETTLE_MS, new Map(), [found()])), ['delete']);
  });

  it('is left to somebody else who says it, and never touches what is his', () => {
    const plan = new StatusPlan('bgp', 'n1');
    const theirs = found({ name: 'bgp-theirs', isOurs: false, status: statusOf({ peers: ['other'] }) });
    assert.deepEqual(plan.writes(0, told(), [theirs]), []);
    assert.deepEqual(plan.writes(0, told(), [theirs, found()]), [{ kind: 'delete', name: 'bgp-a', service: CART }]);
    assert.deepEqual(plan.writes(9 * SETTLE_MS, new Map(), [theirs]), []);
  });

  it('is not made again at once where somebody takes it away, and at once where we did', () => {
    const plan = new StatusPlan('bgp', 'n1');
    const make = (now: number): void => {
      const [write] = plan.writes(now, told(), []);
      assert(write?.kind === 'create', `at ${now}`);
      plan.done(write, now);
    };
    make(0);
    assert.deepEqual(plan.writes(10, told(), [found()]), []);
    assert.deepEqual(plan.writes(CONTESTED_MS - 1, told(), []), []);
    make(CONTESTED_MS);
    plan.writes(CONTESTED_MS, new Map(), [found()]);
    const [gone] = plan.writes(CONTESTED_MS + SETTLE_MS, new Map(), [found()]);
    assert(gone?.kind === 'delete');
    plan.done(gone, CONTESTED_MS + SETTLE_MS);
    make(CONTESTED_MS + SETTLE_MS);
  });

  it('comes to say what is announced and nothing else, from whatever there was', () => {
    const names = fc.constantFrom('a', 'b', 'c');
    const object = fc.record({ name: names, id: fc.nat(5), isOurs: fc.boolean(), peer: names });
    fc.assert(
      fc.property(fc.array(object), fc.array(fc.tuple(names, names)), (there, announced) => {
        const plan = new StatusPlan('bgp', 'n1');
        const key = (name: string): ServiceKey => serviceKey('shop', name);
        const wanted = new Map(announced.map(([name, peer]) => [key(name), { peers: [peer] }]));
        const cluster = new Map(
          there.map(({ name, id, isOurs, peer }): [string, ServiceStatusObject] => [
            `x-${id}`,
            { name: `x-${id}`, service: key(name), isOurs, status: statusOf({ peers: [peer] }, name) },
          ]),
        );
        const foreign = [...cluster.values()].filter(({ isOurs }) => !isOurs);
        for (let now = 0; now <= 3 * SETTLE_MS; now += SETTLE_MS) {
          for (const write of plan.writes(now, wanted, cluster.values())) {
            if (write.kind === 'delete') cluster.delete(write.name);
            else {
              const { name, service, status } = write;
              cluster.set(name, { name, service, isOurs: true, status });
            }
            plan.done(write, now);
          }
        }
        const contested = new Set(foreign.map(({ service }) => service));
        const expected = [...wanted].filter(([service]) => !contested.has(service));
        const said = [...cluster.values()].filter(({ isOurs }) => isOurs);
        assert.deepEqual(
          said.map(({ service, status }) => `${service} ${status['peers']}`).sort(),
          expected.map(([service, { peers }]) => `${service} ${peers}`).sort(),
        );
        assert.deepEqual(
          [...cluster.values()].filter(({ isOurs }) => !isOurs),
          foreign,
        );
      }),
    );
  });
});
